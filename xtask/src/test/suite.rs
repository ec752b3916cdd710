//! A suite: a `cargo test` command in full view, or a check of our own, and the counts of either; and the table of them all.

use crate::command;
use crate::report::results::Suite;
use crate::ui;
use anyhow::Result;
use comfy_table::{Table, presets};
use std::io::Write;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Sums of cargo's `test result:` lines, and of tests that say that they are skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
    skipped: u64,
}

impl Counts {
    /// One test of our own.
    pub fn one(succeeded: bool) -> Self {
        Self {
            passed: u64::from(succeeded),
            failed: u64::from(!succeeded),
            ..Self::default()
        }
    }

    /// One that is skipped.
    pub fn skipped() -> Self {
        Self {
            skipped: 1,
            ..Self::default()
        }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.skipped += other.skipped;
    }

    /// A row of the table, of work that began then, with a server of this version.
    pub fn row(self, name: &str, server: &str, started: Instant) -> Suite {
        Suite {
            name: name.to_owned(),
            server: server.to_owned(),
            passed: self.passed,
            failed: self.failed,
            ignored: self.ignored,
            skipped: self.skipped,
            took: ui::elapsed(started),
        }
    }
}

/// Makes rows for one server.
pub struct Runner {
    /// Its version, for the table.
    pub server: String,
}

impl Runner {
    /// Runs one suite with its output in full view. A suite whose command cannot even be made counts as one failure,
    /// so that the others still run.
    pub fn suite(&self, name: &str, command: impl FnOnce() -> Result<Command>) -> Suite {
        let started = self.begin(name);
        let (mut counts, succeeded) = match command().and_then(watch) {
            Ok(result) => result,
            Err(error) => {
                eprintln!("error: {error:#}");
                (Counts::default(), false)
            }
        };
        if !succeeded && counts.failed == 0 {
            counts.failed = 1;
        }
        counts.row(name, &self.server, started)
    }

    /// A check of our own, which counts as one test; it may say why it is skipped.
    pub fn check(&self, name: &str, work: impl FnOnce() -> Result<Option<String>>) -> Suite {
        let started = self.begin(name);
        let counts = match work() {
            Ok(None) => Counts::one(true),
            Ok(Some(why)) => {
                println!("skipped: {name}: {why}");
                Counts::skipped()
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                Counts::one(false)
            }
        };
        counts.row(name, &self.server, started)
    }

    fn begin(&self, name: &str) -> Instant {
        println!("\n== {name}, PostgreSQL {}", self.server);
        // What is printed next comes from other processes.
        let _ = std::io::stdout().flush();
        Instant::now()
    }
}

/// Passes the output through and adds up the results in it.
fn watch(command: Command) -> Result<(Counts, bool)> {
    let (printed, succeeded) = command::pass_through(command)?;
    Ok((count(&printed), succeeded))
}

/// The sums of what cargo has printed. A test that says that it is skipped has passed nothing.
fn count(printed: &str) -> Counts {
    let mut counts = Counts::default();
    for result in printed.lines().filter_map(parse) {
        counts.add(result);
    }
    let skips = printed
        .lines()
        .filter(|line| line.starts_with("skipped: "))
        .count() as u64;
    counts.passed = counts.passed.saturating_sub(skips);
    counts.skipped += skips;
    counts
}

/// The counts of `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn parse(line: &str) -> Option<Counts> {
    let (_, results) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what: &str| {
        results
            .split(';')
            .find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
    };
    Some(Counts {
        passed: count("passed")?,
        failed: count("failed")?,
        ignored: count("ignored")?,
        skipped: 0,
    })
}

/// Prints all rows and their sums; the closing lines are in the form that cargo itself prints, and ours.
pub fn summary(suites: &[Suite]) -> ExitCode {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header([
        "suite", "server", "passed", "failed", "ignored", "skipped", "time", "",
    ]);
    let mut total = Counts::default();
    for suite in suites {
        total.add(Counts {
            passed: suite.passed,
            failed: suite.failed,
            ignored: suite.ignored,
            skipped: suite.skipped,
        });
        table.add_row([
            &suite.name,
            &suite.server,
            &suite.passed.to_string(),
            &suite.failed.to_string(),
            &suite.ignored.to_string(),
            &suite.skipped.to_string(),
            &suite.took,
            verdict(suite),
        ]);
    }
    let ok = total.failed == 0 && total.passed > 0;
    println!("\n{table}");
    println!(
        "test result: {}. {} passed; {} failed; {} ignored; 0 measured; 0 filtered out",
        if ok { "ok" } else { "FAILED" },
        total.passed,
        total.failed,
        total.ignored + total.skipped,
    );
    println!(
        "{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    );
    ui::exit(ok)
}

/// In a word.
fn verdict(suite: &Suite) -> &'static str {
    match (suite.failed, suite.passed) {
        (0, 0) => "SKIPPED",
        (0, _) => "ok",
        _ => "FAILED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    fn runner() -> Runner {
        Runner {
            server: "18.6".to_owned(),
        }
    }

    #[test]
    fn the_counts_are_read_from_cargos_own_line() {
        let line = "test result: FAILED. 19 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.09s";
        let counts = Counts {
            passed: 19,
            failed: 2,
            ignored: 1,
            skipped: 0,
        };
        assert_eq!(parse(line), Some(counts));
        assert_eq!(parse("running 19 tests"), None);
    }

    #[test]
    fn a_test_that_says_that_it_is_skipped_has_not_passed() {
        let printed = "skipped: a_stop: there is no docker\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        let counts = count(printed);
        assert_eq!((counts.passed, counts.ignored, counts.skipped), (2, 0, 1));
    }

    #[test]
    fn a_suite_that_cannot_start_is_one_failure() {
        let broken = runner().suite("broken", || bail!("does not build"));
        assert_eq!((broken.failed, verdict(&broken)), (1, "FAILED"));
    }

    #[test]
    fn a_check_that_is_skipped_is_no_success() {
        let skipped = runner().check("elsewhere", || Ok(Some("there is no server".to_owned())));
        assert_eq!((skipped.passed, skipped.skipped), (0, 1));
        assert_eq!(verdict(&skipped), "SKIPPED");
        assert_eq!(summary(&[skipped]), ui::exit(false));
    }
}

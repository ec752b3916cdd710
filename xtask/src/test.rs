//! `cargo xtask test`: every suite, one after the other, with the counts of all of them at the end.
//!
//! A suite is a `cargo test` command. A failing suite does not stop the others. The closing line is in
//! the form that cargo itself prints.

use crate::build;
use crate::cluster;
use crate::command;
use crate::demo;
use crate::docs;
use crate::images::{self, Engine};
use crate::package::{self, Profile, Verdict};
use crate::previous;
use crate::report::results;
use crate::setup::{self, Machine};
use crate::soak;
use crate::ui;
use anyhow::{Error, Result, bail};
use comfy_table::{Table, presets};
use harness::cluster::Cluster;
use harness::postgres;
use std::io::Write;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Sums of cargo's `test result:` lines, and of tests that say that they are skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
    skipped: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.skipped += other.skipped;
    }
}

struct Suite {
    name: &'static str,
    counts: Counts,
    succeeded: bool,
    took: String,
}

impl Suite {
    /// For the report.
    fn outcome(&self) -> results::Suite {
        results::Suite {
            name: self.name.to_owned(),
            passed: self.counts.passed,
            failed: self.counts.failed,
            ignored: self.counts.ignored,
            skipped: self.counts.skipped,
            took: self.took.clone(),
        }
    }
}

/// Runs everything, or on another major version than the usual one what depends on it.
pub fn run() -> Result<ExitCode> {
    let machine = setup::ensure()?;
    if machine.postgres.major != postgres::MAJOR {
        return on_another_version(&machine);
    }
    setup::ensure_test_tools();
    let dbt = setup::ensure_dbt();
    let previous = previous::build(&machine);
    let plain = |arguments: &str| Ok(tests(&machine, arguments));
    let (mut server, mut engine) = (None, None);
    let mut suites = vec![
        suite("pure crates", || {
            plain("--package pgtrickle-dvm --package xtask")
        })?,
        suite("delta rules, in PostgreSQL", || {
            delta_rules(&machine, &mut server)
        })?,
        suite("extension, without a server", || {
            plain("--package pg_trickle --lib")
        })?,
    ];
    drop(server);
    suites.extend([
        suite("harness: clusters, scenarios, generator, faults", || {
            let mut cargo = tests(
                &machine,
                "--package harness --no-fail-fast -- --show-output",
            );
            cargo.env(
                "PGT_INSTALL_DIR",
                build::run(&machine, &build::Options::default())?,
            );
            match &previous {
                Ok(install) => cargo.env("PGT_PREVIOUS_INSTALL_DIR", install),
                Err(why) => cargo.env("PGT_NO_PREVIOUS", format!("{why:#}")),
            };
            match &dbt {
                Ok(program) => cargo.env("PGT_DBT", program),
                Err(why) => cargo.env("PGT_NO_DBT", format!("{why:#}")),
            };
            Ok(cargo)
        })?,
        suite("beside: scenarios with other extensions", || {
            let mut cargo = tests(&machine, "--package harness --test beside -- --show-output");
            cargo.env(
                "PGT_INSTALL_DIR",
                build::run(&machine, &build::Options::default())?,
            );
            match images::beside(&machine) {
                Ok(folder) => cargo.env("PGT_BESIDE", folder),
                Err(why) => cargo.env("PGT_NO_BESIDE", format!("{why:#}")),
            };
            Ok(cargo)
        })?,
        suite("monitoring: metrics and alerts", || {
            let mut cargo = tests(&machine, "--package monitoring -- --show-output");
            cargo.env(
                "PGT_INSTALL_DIR",
                build::run(&machine, &build::Options::default())?,
            );
            Ok(cargo)
        })?,
        suite("containers: scenarios, stops, a standby", || {
            containers(&machine, previous.as_ref().err(), &mut engine)
        })?,
    ]);
    drop(engine);
    suites.extend([
        suite("images: digests, against a registry", || {
            plain("--package images --features registry")
        })?,
        suite("benches: the rivals are right, too", || {
            plain("--package benches --lib --tests")
        })?,
        suite("soak: its own parts", || plain("--package soak"))?,
        check("soak, one minute", || soak::smoke(&machine))?,
        check(
            "demo, small",
            || match demo::run(&demo::Options::small())? {
                true => Ok(()),
                false => bail!("a stream table was not exact"),
            },
        )?,
        packages(&machine)?,
        check("generated documentation", || {
            docs::run(&machine, &docs::Options { check: true })
        })?,
        // Last, since the build with the seeded bugs takes the other one's place in the target folder.
        suite("canaries: every seeded bug is reported", || {
            let options = build::Options {
                features: "canary".to_owned(),
                ..build::Options::default()
            };
            let mut cargo = tests(
                &machine,
                "--package harness --features canary --test canary",
            );
            cargo.env("PGT_CANARY_INSTALL_DIR", build::run(&machine, &options)?);
            Ok(cargo)
        })?,
    ]);
    let outcomes: Vec<results::Suite> = suites.iter().map(Suite::outcome).collect();
    results::record("test", outcomes);
    Ok(summary(&suites))
}

/// What depends on the server's version: the tests of single functions, all scenarios, dumps, updates, and a thousand
/// cases of the generator.
fn on_another_version(machine: &Machine) -> Result<ExitCode> {
    let suites = [
        suite("extension, without a server", || {
            let mut cargo = tests(machine, "--package pg_trickle --lib");
            cargo.args(machine.features(""));
            Ok(cargo)
        })?,
        suite("harness: scenarios, generator, updates, dumps", || {
            let mut cargo = tests(
                machine,
                "--package harness --no-fail-fast --test scenarios --test generator --test upgrade \
                 --test dump_restore --test guard --test settings",
            );
            // By then there is a build for each of them.
            if postgres::SERVED.iter().max() == Some(&machine.postgres.major) {
                cargo.args(["--test", "major_upgrade"]);
            }
            cargo.args(["--", "--show-output"]);
            let why = format!(
                "version {} is for PostgreSQL {} only",
                harness::previous::VERSION,
                postgres::MAJOR
            );
            cargo
                .env(
                    "PGT_INSTALL_DIR",
                    build::run(machine, &build::Options::default())?,
                )
                .env("PGT_FUZZ_CASES", "1000")
                .env("PGT_NO_PREVIOUS", why);
            Ok(cargo)
        })?,
    ];
    let outcomes: Vec<results::Suite> = suites.iter().map(Suite::outcome).collect();
    results::record(&format!("test{}", postgres::suffix()), outcomes);
    Ok(summary(&suites))
}

/// The packages, with the build of the other tests. Where a fresh Debian cannot be made they are skipped, or fail if they must not
/// be.
fn packages(machine: &Machine) -> Result<Suite> {
    let options = package::Options {
        profile: Profile::Dev,
        ..package::Options::default()
    };
    let mut skipped = 0;
    let mut suite = check("packages, in a fresh Debian", || {
        if let Verdict::Skipped(why) = package::check(machine, &options)? {
            if std::env::var_os("PGT_REQUIRE_PACKAGES").is_some() {
                bail!("{why}");
            }
            println!("skipped: packages, in a fresh Debian: {why}");
            skipped = 1;
        }
        Ok(())
    })?;
    suite.counts.passed -= suite.counts.passed.min(skipped);
    suite.counts.skipped = skipped;
    Ok(suite)
}

fn tests(machine: &Machine, arguments: &str) -> Command {
    let mut cargo = machine.cargo("test");
    cargo.args(arguments.split(' '));
    cargo
}

/// The tests of the engine that want a server, which is left running.
fn delta_rules(machine: &Machine, server: &mut Option<Cluster>) -> Result<Command> {
    let cluster = cluster::start(machine, &build::Options::default(), &[])?;
    let psql = cluster.client_command("psql");
    let mut cargo = tests(
        machine,
        "--package pgtrickle-dvm --features canary --lib -- --include-ignored in_postgres oracle_catches",
    );
    let environment = psql
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    cargo
        .env("PGT_PSQL", psql.get_program())
        .env("PGDATABASE", cluster::DATABASE)
        .envs(environment);
    *server = Some(cluster);
    Ok(cargo)
}

/// The tests in containers, whose engine is left running.
fn containers(
    machine: &Machine,
    no_previous: Option<&Error>,
    engine: &mut Option<Engine>,
) -> Result<Command> {
    let mut cargo = tests(
        machine,
        "--package containers --no-fail-fast -- --show-output --test-threads 2",
    );
    let found = match Engine::ensure() {
        Ok(found) => found,
        Err(why) => {
            cargo.env("PGT_NO_ENGINE", format!("{why:#}"));
            return Ok(cargo);
        }
    };
    images::local(machine, &build::Options::default(), &found)?;
    if let Some(why) = no_previous {
        cargo.env("PGT_NO_PREVIOUS", format!("{why:#}"));
    } else {
        let options = build::Options {
            previous: true,
            ..build::Options::default()
        };
        images::local(machine, &options, &found)?;
    }
    found.tell(&mut cargo);
    *engine = Some(found);
    Ok(cargo)
}

/// Runs one suite with its output in full view. A suite whose command cannot even be made counts as
/// one failure, so that the others still run.
fn suite(name: &'static str, command: impl FnOnce() -> Result<Command>) -> Result<Suite> {
    println!("\n== {name}");
    std::io::stdout().flush()?;
    let started = Instant::now();
    let (mut counts, succeeded) = match command().and_then(|mut command| watch(&mut command)) {
        Ok(result) => result,
        Err(error) => {
            eprintln!("error: {error:#}");
            (Counts::default(), false)
        }
    };
    if !succeeded && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(Suite {
        name,
        counts,
        succeeded,
        took: ui::elapsed(started),
    })
}

/// A check of our own, which counts as one test.
fn check(name: &'static str, work: impl FnOnce() -> Result<()>) -> Result<Suite> {
    println!("\n== {name}");
    std::io::stdout().flush()?;
    let started = Instant::now();
    let result = work();
    if let Err(error) = &result {
        eprintln!("error: {error:#}");
    }
    let succeeded = result.is_ok();
    Ok(Suite {
        name,
        counts: Counts {
            passed: u64::from(succeeded),
            failed: u64::from(!succeeded),
            ..Counts::default()
        },
        succeeded,
        took: ui::elapsed(started),
    })
}

/// Passes the output through and adds up the results in it.
fn watch(command: &mut Command) -> Result<(Counts, bool)> {
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

fn summary(suites: &[Suite]) -> ExitCode {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header([
        "suite", "passed", "failed", "ignored", "skipped", "time", "",
    ]);
    let mut total = Counts::default();
    for suite in suites {
        total.add(suite.counts);
        table.add_row([
            suite.name,
            &suite.counts.passed.to_string(),
            &suite.counts.failed.to_string(),
            &suite.counts.ignored.to_string(),
            &suite.counts.skipped.to_string(),
            &suite.took,
            if suite.succeeded { "ok" } else { "FAILED" },
        ]);
    }
    let ok = suites.iter().all(|suite| suite.succeeded) && total.passed > 0;
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let broken = suite("broken", || bail!("does not build")).unwrap();
        assert_eq!((broken.counts.failed, broken.succeeded), (1, false));
    }
}

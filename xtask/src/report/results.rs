//! Results that commands leave behind, a JSON object a line in `target/results/<command>.jsonl`, so that there is a
//! history.

use super::page::{self, Section};
use crate::paths;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use xshell::{Shell, cmd};

/// How many of the latest runs are shown.
const SHOWN: usize = 10;

/// A suite of `cargo xtask test`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    pub name: String,
    /// The server's version.
    #[serde(default)]
    pub server: String,
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
    /// Tests that said that they are skipped.
    #[serde(default)]
    pub skipped: u64,
    pub took: String,
}

/// A run of one of the commands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run<T> {
    /// Seconds since 1970.
    pub at_s: u64,
    /// The commit that was checked out.
    pub commit: String,
    /// What came out.
    pub outcome: T,
}

/// What the generator has reported in its last line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fuzz {
    pub summary: String,
    pub passed: bool,
}

/// Adds the outcome of a run to the history of its command. A history that cannot be written is no reason to fail.
pub fn record<T: Serialize>(command: &str, outcome: T) {
    let run = Run {
        at_s: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        commit: commit(),
        outcome,
    };
    if let Err(error) = append(&paths::target(), command, &run) {
        eprintln!("no history of {command} is kept: {error:#}");
    }
}

fn append<T: Serialize>(target: &Path, command: &str, run: &Run<T>) -> Result<()> {
    let dir = target.join("results");
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{command}.jsonl"));
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{}", serde_json::to_string(run)?)?;
    Ok(())
}

fn commit() -> String {
    let repository = paths::repository();
    Shell::new()
        .and_then(|sh| cmd!(sh, "git -C {repository} rev-parse --short HEAD").read())
        .unwrap_or_default()
}

/// What is known of a command, the latest run first; nothing where it cannot be read.
pub fn history<T: for<'de> Deserialize<'de>>(command: &str) -> Vec<Run<T>> {
    read(&paths::target(), command).unwrap_or_default()
}

/// The runs of a command, the latest first.
fn read<T: for<'de> Deserialize<'de>>(target: &Path, command: &str) -> Result<Vec<Run<T>>> {
    let path = target.join(format!("results/{command}.jsonl"));
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(Vec::new());
    };
    let mut runs = Vec::new();
    for line in text.lines() {
        runs.push(serde_json::from_str(line).with_context(|| path.display().to_string())?);
    }
    runs.reverse();
    Ok(runs)
}

/// The suites of the latest test run, and the sums of those before.
pub fn tests(target: &Path) -> Result<Section> {
    let runs: Vec<Run<Vec<Suite>>> = read(target, "test")?;
    let body = match runs.first() {
        None => page::missing("cargo xtask test"),
        Some(latest) => {
            let (passed, failed) = sums(&latest.outcome);
            let summary = format!(
                "Commit {}: {passed} passed, {failed} failed.",
                latest.commit
            );
            let suites: Vec<Vec<String>> = latest.outcome.iter().map(suite_row).collect();
            let history: Vec<Vec<String>> = runs.iter().take(SHOWN).map(history_row).collect();
            page::verdict(failed == 0, &summary)
                + &page::table(
                    &[
                        "suite", "server", "passed", "failed", "ignored", "skipped", "time",
                    ],
                    &suites,
                )
                + &page::table(&["commit", "passed", "failed"], &history)
        }
    };
    Ok(Section {
        title: "Scenarios and tests".into(),
        body,
    })
}

fn sums(suites: &[Suite]) -> (u64, u64) {
    let sum = |value: fn(&Suite) -> u64| suites.iter().map(value).sum();
    (sum(|suite| suite.passed), sum(|suite| suite.failed))
}

fn suite_row(suite: &Suite) -> Vec<String> {
    vec![
        suite.name.clone(),
        suite.server.clone(),
        suite.passed.to_string(),
        suite.failed.to_string(),
        suite.ignored.to_string(),
        suite.skipped.to_string(),
        suite.took.clone(),
    ]
}

fn history_row(run: &Run<Vec<Suite>>) -> Vec<String> {
    let (passed, failed) = sums(&run.outcome);
    vec![run.commit.clone(), passed.to_string(), failed.to_string()]
}

/// The latest runs of the generator.
pub fn fuzz(target: &Path) -> Result<Section> {
    let runs: Vec<Run<Fuzz>> = read(target, "fuzz")?;
    let body = match runs.first() {
        None => page::missing("cargo xtask fuzz"),
        Some(latest) => {
            let rows: Vec<Vec<String>> = runs
                .iter()
                .take(SHOWN)
                .map(|run| vec![run.commit.clone(), run.outcome.summary.clone()])
                .collect();
            page::verdict(latest.outcome.passed, &latest.outcome.summary)
                + &page::table(&["commit", "outcome"], &rows)
        }
    };
    Ok(Section {
        title: "Generator".into(),
        body,
    })
}

/// The tables of the latest benchmarks, as they were printed, the latest first.
pub fn benchmarks(target: &Path) -> Result<Section> {
    let runs: Vec<Run<String>> = read(target, "bench")?;
    let mut body = String::new();
    for run in runs.iter().take(SHOWN) {
        body.push_str(&format!("<h3>Commit {}</h3>\n", page::escape(&run.commit)));
        body.push_str(&markdown(&run.outcome));
    }
    if runs.is_empty() {
        body = page::missing("cargo xtask bench");
    }
    Ok(Section {
        title: "Benchmarks".into(),
        body,
    })
}

/// The tables in a text of Markdown.
fn markdown(text: &str) -> String {
    let mut tables = String::new();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in text.lines().chain([""]) {
        let line = line.trim();
        if let Some(cells) = line.strip_prefix('|') {
            let cells = cells.trim_end_matches('|').split('|');
            let row: Vec<String> = cells.map(|cell| cell.trim().to_owned()).collect();
            let is_rule = row
                .iter()
                .all(|cell| cell.chars().all(|c| matches!(c, '-' | ':')));
            if !is_rule {
                rows.push(row);
            }
        } else if let Some((head, body)) = rows.split_first() {
            let head: Vec<&str> = head.iter().map(String::as_str).collect();
            tables.push_str(&page::table(&head, body));
            rows.clear();
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_shown_the_latest_first() {
        let target = std::env::temp_dir().join(format!("pgt-results-{}", std::process::id()));
        let run = |commit: &str, failed| Run {
            at_s: 1,
            commit: commit.into(),
            outcome: vec![Suite {
                name: "harness".into(),
                server: "18.6".into(),
                passed: 5,
                failed,
                ignored: 0,
                skipped: 0,
                took: "1 s".into(),
            }],
        };
        append(&target, "test", &run("aaa", 2)).unwrap();
        append(&target, "test", &run("bbb", 0)).unwrap();
        let body = super::tests(&target).unwrap().body;
        fs::remove_dir_all(&target).unwrap();
        assert!(
            body.contains("class=\"good\"") && body.contains("Commit bbb: 5 passed, 0 failed.")
        );
        assert!(body.find("bbb") < body.find("aaa"));
    }

    #[test]
    fn tables_are_taken_out_of_markdown() {
        let html = markdown("Medians.\n\n| a | b |\n|---|---:|\n| x | 1 |\n\nend");
        assert!(html.contains("<th scope=\"col\">b</th>"));
        assert!(html.contains("<td>x</td><td class=\"number\">1</td>"));
        assert_eq!(html.matches("<tr>").count(), 2);
    }
}

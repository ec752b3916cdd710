//! What the journals of soaks tell: the latest run in plots, the earlier ones in a line each.

use super::page::{self, Section};
use super::plot::{self, Line};
use anyhow::Result;
use soak::journal::{self, Event, Sample};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A journal, taken apart.
#[derive(Default)]
struct Run {
    seed: u64,
    profile: String,
    seconds: f64,
    samples: Vec<(f64, Sample)>,
    memory: BTreeMap<String, BTreeMap<u64, u64>>,
    faults: Vec<Fault>,
    violations: Vec<(f64, String, String)>,
    checks: BTreeMap<String, u64>,
    excused: BTreeMap<String, u64>,
    seen: Vec<(String, u64)>,
    passed: Option<bool>,
    committed: u64,
    judged: u64,
}

struct Fault {
    name: String,
    begin: f64,
    end: f64,
    outcome: String,
    recovered_s: f64,
}

impl Run {
    fn of(lines: &[journal::Line]) -> Self {
        let mut run = Self::default();
        for line in lines {
            run.seconds = line.t;
            run.take(line.t, &line.event);
        }
        run
    }

    fn take(&mut self, t: f64, event: &Event) {
        match event {
            Event::Start { seed, profile, .. } => {
                (self.seed, self.profile) = (*seed, profile.clone());
            }
            Event::Sample(sample) => self.samples.push((t, sample.clone())),
            Event::Memory {
                process, anon_kb, ..
            } => {
                // The largest process of a kind at a moment.
                let of_kind = self.memory.entry(process.clone()).or_default();
                let largest = of_kind.entry((t * 1000.0) as u64).or_default();
                *largest = (*largest).max(*anon_kb);
            }
            Event::FaultBegin { fault } => self.faults.push(Fault {
                name: fault.clone(),
                begin: t,
                end: f64::MAX,
                outcome: "was not over".into(),
                recovered_s: 0.0,
            }),
            Event::FaultEnd {
                outcome,
                recovered_s,
                ..
            } => self.end_fault(t, outcome.clone(), *recovered_s),
            Event::FaultSkipped { reason, .. } => {
                self.end_fault(t, format!("skipped: {reason}"), 0.0);
            }
            Event::Check { checker, .. } => *self.checks.entry(checker.clone()).or_default() += 1,
            Event::Excused {
                sqlstate, message, ..
            } => {
                let short: String = message.chars().take(80).collect();
                *self
                    .excused
                    .entry(format!("{sqlstate} {short}"))
                    .or_default() += 1;
            }
            Event::Violation { checker, message } => {
                self.violations.push((t, checker.clone(), message.clone()));
            }
            Event::End {
                passed,
                committed,
                judged,
                seen,
            } => {
                self.passed = Some(*passed);
                (self.committed, self.judged) = (*committed, *judged);
                self.seen = seen.clone();
            }
            Event::Definition { .. } | Event::Seen { .. } => {}
        }
    }

    fn end_fault(&mut self, t: f64, outcome: String, recovered_s: f64) {
        if let Some(fault) = self.faults.last_mut() {
            fault.end = t;
            fault.outcome = outcome;
            fault.recovered_s = recovered_s;
        }
    }

    fn state(&self) -> &'static str {
        match self.passed {
            Some(true) => "passed",
            Some(false) => "failed",
            None => "not over",
        }
    }
}

/// The section of all runs below this folder.
pub fn section(runs: &Path) -> Result<Section> {
    let mut journals: Vec<_> = fs::read_dir(runs)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("journal.jsonl"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    journals.sort();
    let mut read = Vec::new();
    for (_, path) in journals.iter().rev() {
        read.push(Run::of(&journal::read(path)?));
    }
    let body = match read.split_first() {
        None => page::missing("cargo xtask soak"),
        Some((latest, earlier)) => detailed(latest)? + &in_short(earlier),
    };
    Ok(Section {
        title: "Soak".into(),
        body,
    })
}

fn detailed(run: &Run) -> Result<String> {
    let summary = format!(
        "Seed {}, profile {}, {:.0} s: {}. {} commits, {} refreshes judged by the oracle, {} faults, {} violations.",
        run.seed,
        run.profile,
        run.seconds,
        run.state(),
        run.committed,
        run.judged,
        run.faults.len(),
        run.violations.len()
    );
    let mut body = page::verdict(run.passed == Some(true), &summary);
    if !run.violations.is_empty() {
        let rows: Vec<Vec<String>> = run
            .violations
            .iter()
            .take(50)
            .map(|(t, checker, message)| vec![format!("{t:.1}"), checker.clone(), message.clone()])
            .collect();
        body.push_str(&page::table(&["s", "checker", "violation"], &rows));
    }
    body.push_str("<p>The times of faults, recovery included, are shaded.</p>\n");
    for (caption, unit, lines) in plots(run) {
        let shaded: Vec<(f64, f64)> = run.faults.iter().map(|f| (f.begin, f.end)).collect();
        body.push_str(&page::figure(
            caption,
            &plot::over_time(unit, &lines, &shaded)?,
        ));
    }
    let faults: Vec<Vec<String>> = run
        .faults
        .iter()
        .map(|fault| {
            vec![
                format!("{:.1}", fault.begin),
                fault.name.clone(),
                fault.outcome.clone(),
                format!("{:.2}", fault.recovered_s),
            ]
        })
        .collect();
    body.push_str(&page::table(
        &["s", "fault", "what it did", "well again after s"],
        &faults,
    ));
    let counted = |all: &mut dyn Iterator<Item = (&String, &u64)>| -> Vec<Vec<String>> {
        all.map(|(what, count)| vec![what.clone(), count.to_string()])
            .collect()
    };
    let seen = counted(&mut run.seen.iter().map(|(what, count)| (what, count)));
    body.push_str(&page::table(&["has to be met", "times"], &seen));
    body.push_str(&page::table(
        &["checker", "looks"],
        &counted(&mut run.checks.iter()),
    ));
    body.push_str(&page::table(
        &["excused error", "times"],
        &counted(&mut run.excused.iter()),
    ));
    Ok(body)
}

/// Caption, unit and lines of each plot.
fn plots(run: &Run) -> Vec<(&'static str, &'static str, Vec<Line>)> {
    let line = |name: &str, value: &dyn Fn(&Sample) -> f64| Line {
        name: name.into(),
        points: run
            .samples
            .iter()
            .map(|(t, sample)| (*t, value(sample)))
            .collect(),
    };
    const MIB: f64 = 1024.0 * 1024.0;
    let memory = largest(&run.memory).map(|(process, points)| Line {
        name: process.clone(),
        points: points
            .iter()
            .map(|(ms, kb)| (*ms as f64 / 1000.0, *kb as f64 / 1024.0))
            .collect(),
    });
    vec![
        (
            "Throughput: commits and refreshes",
            "in a second",
            vec![
                line("commits", &|s| s.commits_per_s),
                line("refreshes", &|s| s.refreshes_per_s),
            ],
        ),
        (
            "Latency of refreshes",
            "ms",
            vec![
                line("median", &|s| s.refresh_ms[0]),
                line("95 %", &|s| s.refresh_ms[1]),
                line("99 %", &|s| s.refresh_ms[2]),
            ],
        ),
        (
            "Latency of the writers' transactions",
            "ms",
            vec![
                line("median", &|s| s.commit_ms[0]),
                line("95 %", &|s| s.commit_ms[1]),
                line("99 %", &|s| s.commit_ms[2]),
            ],
        ),
        (
            "Staleness of a copy, and of the end of a chain of four stream tables",
            "s",
            vec![
                line("copy", &|s| s.staleness_s),
                line("end of the chain", &|s| s.deep_staleness_s),
            ],
        ),
        (
            "Size of change buffers",
            "MiB",
            vec![line("buffers", &|s| s.buffer_bytes as f64 / MIB)],
        ),
        (
            "Size of the write-ahead log",
            "MiB",
            vec![line("pg_wal", &|s| s.wal_bytes as f64 / MIB)],
        ),
        (
            "Private memory of the server's processes: six kinds, the largest process of each",
            "MiB",
            memory.collect(),
        ),
    ]
}

/// How many kinds of process a plot can show.
const KINDS: usize = 6;

/// The kinds of process that were largest.
fn largest(
    memory: &BTreeMap<String, BTreeMap<u64, u64>>,
) -> impl Iterator<Item = (&String, &BTreeMap<u64, u64>)> {
    let mut kinds: Vec<_> = memory.iter().collect();
    kinds.sort_by_key(|(_, points)| std::cmp::Reverse(points.values().max().copied()));
    kinds.into_iter().take(KINDS)
}

/// Earlier runs.
fn in_short(runs: &[Run]) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            vec![
                run.seed.to_string(),
                run.profile.clone(),
                format!("{:.0}", run.seconds),
                run.state().into(),
                run.judged.to_string(),
                run.violations.len().to_string(),
            ]
        })
        .collect();
    let head = [
        "earlier seed",
        "profile",
        "s",
        "verdict",
        "judged",
        "violations",
    ];
    page::table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plot_has_a_point_for_each_sample_and_the_page_is_well_formed() {
        let line = |t: f64, event: Event| journal::Line { t, event };
        let mut lines = vec![line(
            0.0,
            Event::Start {
                seed: 7,
                profile: "light".into(),
                minutes: 1.0,
                stream_tables: 60,
                resumed: false,
            },
        )];
        for second in 1..=30 {
            let t = f64::from(second);
            let sample = Sample {
                commits_per_s: t,
                ..Sample::default()
            };
            lines.push(line(t, Event::Sample(sample)));
        }
        lines.push(line(31.0, Event::FaultBegin { fault: "x".into() }));
        lines.push(line(
            33.0,
            Event::Violation {
                checker: "oracle".into(),
                message: "a < b".into(),
            },
        ));
        let run = Run::of(&lines);
        for (caption, _, lines) in plots(&run) {
            for line in &lines {
                assert_eq!(line.points.len(), 30, "{caption}");
            }
        }
        let section = Section {
            title: "Soak".into(),
            body: detailed(&run).unwrap(),
        };
        let page = page::html(&[section]);
        let document = page::tests::parse(&page);
        let drawings = document
            .descendants()
            .filter(|node| node.tag_name().name() == "svg");
        assert_eq!(drawings.count(), plots(&run).len());
        assert!(page.contains("a &lt; b") && page.contains("was not over"));
    }
}

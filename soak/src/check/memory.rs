//! No process of the server grows for ever. What counts is the slope over the later part of its life: caches fill
//! at first, and an end value says nothing about a leak.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::arena::Arena;
use crate::journal::Event;

const WHO: &str = "memory";

/// How often is measured.
const PERIOD: Duration = Duration::from_secs(3);

/// A life shorter than this has no slope.
const MIN_LIFE_S: f64 = 100.0;

/// The part of its life in which a process may fill its caches.
const WARM_UP: f64 = 0.5;

/// A leak: so much more in a minute, and so much in all that it is no accident.
const MAX_KB_PER_MINUTE: f64 = 3_000.0;
const MIN_GROWTH_KB: f64 = 12_000.0;

/// What a process is, and its private memory over its life: seconds and kB.
type Life = (String, Vec<(f64, f64)>);

/// The lives of all processes, by id.
#[derive(Debug, Default)]
pub struct Lives(Mutex<BTreeMap<i32, Life>>);

/// Measures until the run is over.
pub async fn watch(arena: Arc<Arena>, lives: Arc<Lives>) {
    while arena.is_running() {
        let now_s = arena.journal.now_s();
        for (pid, process, anon_kb) in processes(&arena) {
            arena.journal.write(Event::Memory {
                pid,
                process: process.clone(),
                anon_kb,
            });
            let mut lives = lives.0.lock().unwrap_or_else(PoisonError::into_inner);
            let life = lives.entry(pid).or_insert((process, Vec::new()));
            life.1.push((now_s, anon_kb as f64));
        }
        arena.rest(PERIOD).await;
    }
}

/// Judges every life that was long enough. How many there were.
pub fn judge(arena: &Arena, lives: &Lives) -> usize {
    let lives = lives.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut judged = 0;
    for (pid, (process, points)) in lives.iter() {
        let Some(growth) = growth(points) else {
            continue;
        };
        judged += 1;
        let found = format!(
            "{process} {pid}: {:.0} kB a minute, {:.0} kB in all",
            growth.kb_per_minute, growth.total_kb
        );
        if growth.kb_per_minute > MAX_KB_PER_MINUTE && growth.total_kb > MIN_GROWTH_KB {
            arena.violation(WHO, &format!("grows: {found}"));
        } else {
            arena.checked(WHO, process, found);
        }
    }
    judged
}

#[derive(Debug, PartialEq)]
struct Growth {
    kb_per_minute: f64,
    total_kb: f64,
}

/// The slope of the later part, by least squares.
fn growth(points: &[(f64, f64)]) -> Option<Growth> {
    let (first, last) = (points.first()?, points.last()?);
    let life_s = last.0 - first.0;
    if life_s < MIN_LIFE_S {
        return None;
    }
    let from = first.0 + life_s * WARM_UP;
    let late: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.0 >= from).collect();
    let count = late.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| late.iter().map(value).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|p| p.0), mean(|p| p.1));
    let product: f64 = late.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum();
    let square: f64 = late.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
    if square == 0.0 {
        return None;
    }
    let slope = product / square;
    Some(Growth {
        kb_per_minute: slope * 60.0,
        // Between the lowest values of both halves: what a query takes for a while is no leak.
        total_kb: 2.0 * (lowest(&late[late.len() / 2..]) - lowest(&late[..late.len() / 2])),
    })
}

fn lowest(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|p| p.1).fold(f64::MAX, f64::min)
}

/// The server's processes: id, what each is, and its private memory in kB.
fn processes(arena: &Arena) -> Vec<(i32, String, u64)> {
    let file = arena.server.data_dir().join("postmaster.pid");
    let Some(postmaster) = fs::read_to_string(file)
        .ok()
        .and_then(|text| text.lines().next()?.trim().parse::<i32>().ok())
    else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let is_ours = pid == postmaster || field(&status, "PPid:")? == postmaster as u64;
            let anon_kb = field(&status, "RssAnon:")?;
            is_ours.then(|| (pid, name(pid, postmaster), anon_kb))
        })
        .collect()
}

/// The first number after a label.
fn field(status: &str, label: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What a process is, from its title.
fn name(pid: i32, postmaster: i32) -> String {
    if pid == postmaster {
        return "postmaster".into();
    }
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let title = String::from_utf8_lossy(&title);
    role(&title)
}

/// `postgres: pg_trickle worker …` as `pg_trickle worker`.
fn role(title: &str) -> String {
    let title = title.trim_start_matches("postgres:").trim();
    for known in [
        "pg_trickle worker",
        "pg_trickle scheduler",
        "pg_trickle launcher",
        "checkpointer",
        "background writer",
        "walwriter",
        "autovacuum launcher",
        "autovacuum worker",
        "io worker",
        "logical replication launcher",
        "walsender",
        "logger",
    ] {
        if title.starts_with(known) {
            return known.into();
        }
    }
    "client backend".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_has_a_slope_and_a_filled_cache_has_none() {
        let life = |at: fn(f64) -> f64| -> Vec<(f64, f64)> {
            (0..100)
                .map(|i| f64::from(i) * 3.0)
                .map(|t| (t, at(t)))
                .collect()
        };
        let leak = growth(&life(|t| 1000.0 + 100.0 * t)).unwrap();
        assert!((leak.kb_per_minute - 6000.0).abs() < 1.0, "{leak:?}");
        assert!(leak.total_kb > MIN_GROWTH_KB);
        let cache = growth(&life(|t| (t * 500.0).min(20_000.0))).unwrap();
        assert!(cache.kb_per_minute.abs() < 1.0, "{cache:?}");
        assert_eq!(growth(&life(|t| t)[..10]), None);
    }

    #[test]
    fn processes_are_known_by_their_titles() {
        assert_eq!(role("postgres: pg_trickle worker 3"), "pg_trickle worker");
        assert_eq!(
            role("postgres: postgres postgres [local] idle"),
            "client backend"
        );
        assert_eq!(
            field("Name:\tx\nPPid:\t12\nRssAnon:\t  400 kB\n", "RssAnon:"),
            Some(400)
        );
    }
}

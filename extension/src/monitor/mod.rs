//! Facts about the runtime for reports, most of them from shared memory. Reads only; the reports are
//! SQL.

mod stale;

pub use stale::stale;

use std::sync::atomic::Ordering;

use crate::config;
use crate::pg::{cluster, database};
use crate::scheduler::{drain, load};
use crate::shmem;
use crate::shmem::counters;
use crate::shmem::database::Presence;
use crate::shmem::load::Measured;
use crate::shmem::worker::State;

/// Why the stream tables of this database are refreshed by their schedules, or are not.
pub fn scheduler_state() -> &'static str {
    let Some(block) = shmem::block() else {
        return "NOT_PRELOADED";
    };
    if database::is_standby() {
        return "STANDBY";
    }
    if !config::is_enabled() {
        return "DISABLED";
    }
    if block.drain.is_on() {
        return "DRAINED";
    }
    let own = shmem::database::find(&block.databases, cluster::database().to_u32());
    match own.map(shmem::database::Database::presence) {
        Some(Presence::Running) => "RUNNING",
        Some(Presence::Starting | Presence::Stopped | Presence::Unknown) => "STARTING",
        Some(Presence::Absent | Presence::Outdated) | None => "NO_SCHEDULER",
    }
}

/// How busy the refresh workers of this database are now.
pub fn load() -> Measured {
    let own = shmem::block()
        .and_then(|block| shmem::database::find(&block.databases, cluster::database().to_u32()));
    let now_us = cluster::microseconds(cluster::now());
    own.map_or_else(Measured::default, |own| load::at(&own.load.read(), now_us))
}

/// A refresh worker.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Its process.
    pub pid: Option<i32>,
    /// Its database.
    pub database: u32,
    /// Where it is.
    pub state: &'static str,
    /// The stream table at which it is.
    pub pgt_id: Option<i64>,
    /// How many its job has.
    pub tables: i32,
    /// Since when it has its job.
    pub since_us: Option<i64>,
}

/// The refresh workers of the cluster.
pub fn workers() -> Vec<Worker> {
    let Some(block) = shmem::block() else {
        return Vec::new();
    };
    let workers = block.workers.iter().filter_map(|worker| {
        let state = match worker.state() {
            State::Free => return None,
            State::Starting => "STARTING",
            State::Idle | State::Done => "IDLE",
            State::Busy => "BUSY",
        };
        let is_busy = state == "BUSY";
        Some(Worker {
            pid: worker.process.pid(),
            database: worker.database(),
            state,
            pgt_id: Some(worker.current.load(Ordering::SeqCst)).filter(|id| is_busy && *id != 0),
            tables: if is_busy {
                i32::try_from(worker.job().len()).unwrap_or(i32::MAX)
            } else {
                0
            },
            since_us: is_busy.then(|| worker.since_us.load(Ordering::SeqCst)),
        })
    });
    workers.collect()
}

/// Name and value of each counter, and of the gauges beside them.
pub fn counters() -> Vec<(String, i64)> {
    let mut rows: Vec<(String, i64)> = counters::ALL
        .iter()
        .map(|counter| (counter.name.to_owned(), counter.get().cast_signed()))
        .collect();
    let workers = workers();
    let busy = workers
        .iter()
        .filter(|worker| worker.state == "BUSY")
        .count();
    let block = shmem::block();
    let in_flight = block.map_or(0, drain::others_in_flight);
    let is_draining = block.is_some_and(|block| block.drain.is_on());
    for (name, value) in [
        ("preloaded", i64::from(block.is_some())),
        ("workers", workers.len() as i64),
        ("workers_busy", busy as i64),
        ("refreshes_in_flight", in_flight as i64),
        ("draining", i64::from(is_draining)),
        ("drained", i64::from(drain::is_drained())),
    ] {
        rows.push((name.to_owned(), value));
    }
    rows
}

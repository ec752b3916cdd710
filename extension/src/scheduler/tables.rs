//! A scheduler's view of the stream tables of its database, kept current by the invalidation ring.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime};

use pgtrickle_dvm::schedule::Schedule;

use super::due::{Clock, Due};
use super::turn;
use crate::catalog::{self, Definitions, FailureRow, RefreshMode, Status, StreamTable};
use crate::cdc;
use crate::config;
use crate::dag::Graph;
use crate::error::Result;
use crate::pg::cluster;
use crate::shmem::worker::{Outcome, TaskResult};

/// A stream table that is refreshed by its schedule.
#[derive(Debug)]
struct Table {
    due: Due,
    /// Neither it nor its readers are refreshed until this is changed.
    is_stopped: bool,
    is_failing: bool,
    /// How often in a row it was locked when it was its turn.
    blocked: Option<NonZeroU32>,
    /// It follows by itself, with each statement; here only so that it is known who reads it.
    is_immediate: bool,
}

/// The stream tables of a database.
#[derive(Debug, Default)]
pub struct Tables {
    tables: BTreeMap<i64, Table>,
    graph: Graph,
    /// The source of each change buffer; a stream table stands for itself, too.
    sources: HashMap<u32, u32>,
    /// The other way round.
    buffers: HashMap<u32, BTreeSet<u32>>,
    in_flight: BTreeSet<i64>,
    /// Those that are due, or will be as time goes by: the others need not be looked at.
    awake: BTreeSet<i64>,
    /// Each source with its partitions and children, as last seen.
    trees: HashMap<u32, Vec<u32>>,
    /// The last of those that were refreshed to check on them.
    checked: i64,
    /// The definitions that were read last as a whole.
    definitions: Option<Definitions>,
}

/// The present time and the settings that go with it.
pub fn clock() -> Clock {
    Clock {
        now: Instant::now(),
        wall: SystemTime::now(),
        rest: config::min_refresh_interval(),
        share_percent: config::refresh_share_percent(),
        rest_max: config::max_refresh_rest(),
        full: config::full_refresh_interval(),
        time_zone: config::cron_timezone(),
    }
}

impl Tables {
    /// Reads the catalog again. What was due stays due, and what is behind becomes it.
    pub fn reload(&mut self, clock: &Clock) -> Result<()> {
        self.definitions = Some(Definitions::present()?);
        let present = catalog::all()?;
        let ids: BTreeSet<i64> = present.iter().map(|table| table.pgt_id).collect();
        let gone: Vec<i64> = self
            .tables
            .keys()
            .filter(|id| !ids.contains(id))
            .copied()
            .collect();
        for id in gone {
            self.forget(id);
        }
        for table in &present {
            self.learn(table, clock)?;
        }
        Ok(())
    }

    /// Whether definitions have changed since all were read.
    pub fn are_outdated(&self) -> Result<bool> {
        let are_current = self.definitions.map(Definitions::are_current);
        Ok(!are_current.transpose()?.unwrap_or(false))
    }

    /// Reads the rows of these stream tables again.
    pub fn reload_some(&mut self, ids: &[i64], clock: &Clock) -> Result<()> {
        for id in ids {
            match catalog::load(*id)? {
                Some(table) => self.learn(&table, clock)?,
                None => self.forget(*id),
            }
        }
        Ok(())
    }

    fn forget(&mut self, id: i64) {
        self.tables.remove(&id);
        self.awake.remove(&id);
        self.graph.remove(id);
    }

    fn put(&mut self, id: i64, table: Table) {
        match table.due.is_quiet() {
            true => self.awake.remove(&id),
            false => self.awake.insert(id),
        };
        self.tables.insert(id, table);
    }

    /// Something that the table reads has changed.
    fn wake(&mut self, id: i64, clock: &Clock) {
        if let Some(table) = self.tables.get_mut(&id) {
            table.due.mark(clock);
            self.awake.insert(id);
        }
    }

    fn learn(&mut self, table: &StreamTable, clock: &Clock) -> Result<()> {
        let (Ok(schedule), true) = (
            table.schedule.parse::<Schedule>(),
            table.require_home().is_ok(),
        ) else {
            self.forget(table.pgt_id);
            return Ok(());
        };
        let relid = table.relid.to_u32();
        self.name_source(relid, relid);
        let dependencies = catalog::dependencies(table.pgt_id)?;
        for dependency in &dependencies {
            if let Some(buffer) = cdc::buffer_of(dependency.source)? {
                self.name_source(buffer.to_u32(), dependency.source.to_u32());
            }
        }
        let is_told = table.refresh_mode != RefreshMode::Full && !table.is_polled;
        let failure = catalog::failure(table.pgt_id)?;
        // A table that fails has something to make up for.
        let is_done = table.is_populated && failure.is_none();
        let is_behind = !is_told || !is_done || check::is_behind(table, &dependencies)?;
        let mut due = Due::new(schedule, is_told, is_done, clock);
        if !is_behind {
            due.rest();
        }
        if let Some(former) = self.tables.get(&table.pgt_id) {
            due.inherit(&former.due);
        }
        due.retry_at = failure.as_ref().map(|failure| retry_at(failure, clock));
        let sources = dependencies.iter().map(|d| d.source.to_u32()).collect();
        self.graph.insert(table.pgt_id, relid, sources);
        self.put(
            table.pgt_id,
            Table {
                due,
                is_stopped: table.status == Status::Suspended,
                is_failing: failure.is_some(),
                blocked: None,
                is_immediate: table.refresh_mode == RefreshMode::Immediate,
            },
        );
        Ok(())
    }

    /// Rows of this source come into this buffer.
    fn name_source(&mut self, buffer: u32, source: u32) {
        self.sources.insert(buffer, source);
        self.buffers.entry(source).or_default().insert(buffer);
    }

    /// The buffers that these stream tables read.
    pub fn buffers_read(&self, ids: &[i64]) -> impl Iterator<Item = u32> {
        let sources = ids.iter().flat_map(|id| self.graph.sources_of(*id));
        let buffers = sources.filter_map(|source| self.buffers.get(source));
        buffers.flatten().copied()
    }

    /// Whether one of these buffers is not known.
    pub fn is_news(&self, buffers: &[u32]) -> bool {
        buffers
            .iter()
            .any(|buffer| !self.sources.contains_key(buffer))
    }

    /// Rows have come into these buffers. One that no source is known for has no readers.
    pub fn mark(&mut self, buffers: &[u32], clock: &Clock) {
        for buffer in buffers {
            match self.sources.get(buffer) {
                None => {
                    self.sources.insert(*buffer, 0);
                }
                Some(source) => {
                    let source = *source;
                    self.mark_readers(source, clock);
                }
            }
        }
    }

    fn mark_readers(&mut self, source: u32, clock: &Clock) {
        for reader in self.graph.readers_of(source).to_vec() {
            self.wake(reader, clock);
        }
    }

    /// Rows may have come into any buffer.
    pub fn mark_all(&mut self, clock: &Clock) {
        for (id, table) in &mut self.tables {
            if table.due.follows() {
                table.due.mark(clock);
                self.awake.insert(*id);
            }
        }
    }

    /// The stream tables that are due and not in flight, the most urgent first. And how long until
    /// there may be another.
    pub fn queue(&self, clock: &Clock) -> (Vec<i64>, Option<Duration>) {
        let mut due: Vec<(f64, i64)> = Vec::new();
        let mut soonest: Option<Duration> = None;
        for id in self.awake.difference(&self.in_flight) {
            let Some(table) = self.tables.get(id) else {
                continue;
            };
            if let Some(urgency) = table.due.urgency(clock) {
                if self.may_run(*id, table) {
                    due.push((urgency, *id));
                }
            } else if let Some(wait) = table.due.wait(clock)
                && soonest.is_none_or(|least| wait < least)
                && self.may_run(*id, table)
            {
                soonest = Some(wait);
            }
        }
        group::by_urgency(&mut due);
        (due.into_iter().map(|(_, id)| id).collect(), soonest)
    }

    /// What the refreshes that are due and not in flight can be expected to take.
    pub fn waiting(&self, clock: &Clock) -> Duration {
        let (queue, _) = self.queue(clock);
        let due = queue.iter().filter_map(|id| self.tables.get(id));
        due.map(|table| table.due.cost.expected()).sum()
    }

    /// A job begins.
    pub fn begin(&mut self, job: &[i64], clock: &Clock) {
        for id in job {
            self.in_flight.insert(*id);
            if let Some(table) = self.tables.get_mut(id) {
                table.due.begin(clock);
                if table.due.is_quiet() {
                    self.awake.remove(id);
                }
            }
        }
    }

    /// A job has ended, or was lost (no outcome).
    pub fn end(&mut self, results: &[TaskResult], clock: &Clock) {
        for TaskResult { id, outcome, took } in results {
            self.in_flight.remove(id);
            let Some(table) = self.tables.get_mut(id) else {
                continue;
            };
            if !took.is_zero() {
                table.due.cost.learn(*took);
            }
            match outcome {
                Outcome::Refreshed | Outcome::NoData => {
                    table.is_failing = false;
                    table.blocked = None;
                    table.due.retry_at = None;
                }
                // Should the catalog have failed to take the failure down, this is all the rest there
                // is; else its row, of which the ring has told, says more.
                Outcome::Failed => {
                    table.blocked = None;
                    table.due.undo(clock);
                    let soonest = clock.now + Duration::from_secs(1);
                    table.due.retry_at = table.due.retry_at.max(Some(soonest));
                }
                Outcome::Blocked => {
                    let times = table
                        .blocked
                        .map_or(NonZeroU32::MIN, |n| n.saturating_add(1));
                    table.blocked = Some(times);
                    table.due.undo(clock);
                    table.due.retry_at = Some(clock.now + turn::rest_of_blocked(times));
                }
                Outcome::Waits | Outcome::None => table.due.undo(clock),
                Outcome::Gone => table.blocked = None,
            }
            if !table.due.is_quiet() {
                self.awake.insert(*id);
            }
            if *outcome == Outcome::Refreshed {
                self.tell_untold(*id, results, clock);
            }
        }
    }

    /// No change buffer tells a FULL reader that a stream table has changed.
    fn tell_untold(&mut self, id: i64, job: &[TaskResult], clock: &Clock) {
        for reader in self.graph.downstream(id).to_vec() {
            let is_told = self
                .tables
                .get(&reader)
                .is_some_and(|table| table.due.follows());
            if !is_told && !job.iter().any(|of_job| of_job.id == reader) {
                self.wake(reader, clock);
            }
        }
    }
}

fn retry_at(failure: &FailureRow, clock: &Clock) -> Instant {
    let wait_us = cluster::microseconds(failure.retry_at) - cluster::microseconds(cluster::now());
    clock.now + Duration::from_micros(u64::try_from(wait_us).unwrap_or(0))
}

mod check;
mod group;
mod job;
#[cfg(test)]
mod tests;

pub use group::Job;

//! The scheduler of a database: finds due stream tables, hands them out, records the outcomes, and sleeps.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::courtesy::Courtesy;
use super::load::Meter;
use super::pool::Pool;
use super::tables::{Tables, clock};
use super::{BACKSTOP, upkeep};
use crate::catalog;
use crate::config;
use crate::error::Error;
use crate::pg::background::{self, is_terminating};
use crate::pg::failure::Failure;
use crate::pg::{cluster, process};
use crate::shmem::counters::INVALIDATION_RING_OVERFLOWS;
use crate::shmem::database::{self, Database, Presence};
use crate::shmem::dirty::Taken;
use crate::shmem::ring::News;
use crate::shmem::{self, Block};

/// The entry of this scheduler's database.
static ENTRY: OnceLock<&'static Database> = OnceLock::new();

crate::worker_main! {
    /// The main function of a scheduler.
    fn pgtrickle_scheduler_main, schedule
}

fn schedule(database: i32) {
    let oid = database.cast_unsigned();
    let Some(block) = shmem::block() else { return };
    let Some(entry) = database::find(&block.databases, oid) else {
        return;
    };
    if entry.presence() != Presence::Starting || ENTRY.set(entry).is_err() {
        return;
    }
    background::begin(Some(pg_sys::Oid::from(oid)), on_exit);
    // Entered before the first look: every later commit of a change wakes us.
    entry.scheduler.enter();
    entry.set_presence(Presence::Running);
    let mut scheduler = Scheduler::new(block, entry);
    match background::transaction(presence) {
        Ok(Presence::Running) => scheduler.run(),
        Ok(other) => scheduler.stand_down(other),
        Err(_) => scheduler.stand_down(Presence::Absent),
    }
}

fn on_exit() {
    if let (Some(entry), Some(block)) = (ENTRY.get(), shmem::block()) {
        if entry.scheduler.pid() == Some(process::own_pid()) {
            entry.scheduler.leave();
        }
        if matches!(entry.presence(), Presence::Running | Presence::Starting) {
            entry.set_presence(Presence::Stopped);
        }
        block.launcher.wake();
    }
}

/// Whether there is something to do in this database; says so if the extension has another version.
fn presence() -> std::result::Result<Presence, Failure> {
    if !catalog::exists() {
        return Ok(Presence::Absent);
    }
    match catalog::require_current() {
        Err(error @ Error::NotUpdated { .. }) => {
            let hint = error.hint().unwrap_or_default();
            let message = Failure::of(&error).message;
            pgrx::log!("pg_trickle: nothing is refreshed by its schedule: {message} {hint}");
            Ok(Presence::Outdated)
        }
        outcome => Ok(outcome.map(|()| Presence::Running)?),
    }
}

struct Scheduler<'a> {
    block: &'a Block,
    entry: &'a Database,
    tables: Tables,
    pool: Pool<'a>,
    meter: Meter,
    /// How far the invalidation ring has been read.
    position: u64,
    /// Whether to read the whole catalog.
    is_stale: bool,
    looked_at_all: Instant,
    upkeep: upkeep::Upkeep,
    courtesy: Courtesy,
}

impl<'a> Scheduler<'a> {
    fn new(block: &'a Block, entry: &'a Database) -> Self {
        Scheduler {
            block,
            entry,
            tables: Tables::default(),
            pool: Pool::new(block, entry),
            meter: Meter::new(Instant::now()),
            position: block.ring.head(),
            is_stale: true,
            looked_at_all: Instant::now(),
            upkeep: upkeep::Upkeep::default(),
            courtesy: Courtesy::default(),
        }
    }

    fn run(&mut self) {
        background::show(None);
        while !is_terminating() {
            background::attend();
            if self.entry.is_held() {
                self.make_way();
                return;
            }
            for results in self.pool.collect() {
                self.tables.end(&results, &clock());
                self.upkeep.count(&results);
                self.courtesy.end(&results);
                for result in &results {
                    self.meter.note(result.id, result.took);
                }
            }
            match self.catch_up() {
                Ok(Presence::Running) => {}
                Ok(other) => {
                    self.pool.retire_all();
                    self.stand_down(other);
                    return;
                }
                Err(failure) => {
                    // Where the extension has just been dropped, the next look finds that.
                    if !failure.is_of_missing_relation() {
                        pgrx::warning!("pg_trickle: scheduler: {}", failure.message);
                    }
                    self.is_stale = true;
                    process::sleep(Some(Duration::from_secs(1)));
                    continue;
                }
            }
            let wait = self.hand_out();
            self.publish_load();
            self.pool.make_room();
            let wait = self.upkeep.run(wait);
            let wait = self.courtesy.run(&self.pool, wait);
            process::sleep(Some(wait.min(BACKSTOP)));
        }
        self.pool.retire_all();
    }

    /// Updates our view of the catalog, and marks dirty stream tables. Returns whether there is still
    /// something to do.
    fn catch_up(&mut self) -> std::result::Result<Presence, Failure> {
        let capacity = config::invalidation_ring_capacity();
        let news = self
            .block
            .ring
            .read(&mut self.position, self.entry.oid(), capacity);
        let clock = clock();
        if news == News::Overtaken {
            INVALIDATION_RING_OVERFLOWS.count();
        }
        self.is_stale |= !matches!(news, News::Tables(_));
        let looks_at_all = self.looked_at_all.elapsed() >= BACKSTOP;
        // A stream table that we are about to load has not seen the existing marks.
        let taken = match self.is_stale || looks_at_all || news != News::Tables(Vec::new()) {
            true => self.entry.dirty.take(),
            false => self.entry.dirty.look(),
        };
        if !self.is_stale
            && let News::Tables(ids) = &news
            && !ids.is_empty()
        {
            self.is_stale = true;
            let tables = &mut self.tables;
            background::transaction(|| Ok(tables.reload_some(ids, &clock)?))?;
            self.is_stale = false;
        }
        // Stream tables created with their buffers have just been announced.
        self.is_stale |= matches!(&taken, Taken::Some(buffers) if self.tables.is_news(buffers));
        // The process that commits a prepared transaction does not know which definitions it changed.
        if taken == Taken::All && !self.is_stale {
            let tables = &self.tables;
            self.is_stale = background::transaction(|| Ok(tables.are_outdated()?))?;
        }
        if self.is_stale || looks_at_all {
            // A push to the ring wakes the scheduler, so entries pushed while we read are handled next time.
            let (tables, is_stale) = (&mut self.tables, self.is_stale);
            let presence = background::transaction(|| {
                let presence = presence()?;
                if presence == Presence::Running {
                    if is_stale {
                        tables.reload(&clock)?;
                    }
                    tables.check(&clock)?;
                }
                Ok(presence)
            })?;
            self.is_stale = false;
            self.looked_at_all = Instant::now();
            if presence != Presence::Running {
                return Ok(presence);
            }
        }
        match taken {
            Taken::Some(buffers) => self.tables.mark(&buffers, &clock),
            Taken::All => self.tables.mark_all(&clock),
        }
        Ok(Presence::Running)
    }

    /// Hands out due stream tables, and returns the time until the next is due.
    fn hand_out(&mut self) -> Duration {
        if self.block.drain.is_on() || !config::is_enabled() {
            return BACKSTOP;
        }
        let clock = clock();
        let (queue, soonest) = self.tables.queue(&clock);
        for id in queue {
            // In flight with another of the queue, or its island is.
            let Some(job) = self.tables.group(id, &clock) else {
                continue;
            };
            let removed = self.entry.dirty.remove(self.tables.buffers_read(&job.ids));
            self.tables.mark(&removed, &clock);
            let now_us = cluster::microseconds(cluster::now());
            if !self.pool.hand_out(&job, now_us) {
                return match self.pool.ask_for_worker() {
                    Some(pause) => pause.max(Duration::from_millis(1)),
                    None => BACKSTOP,
                };
            }
            self.tables.begin(&job.ids, &clock);
        }
        soonest.unwrap_or(BACKSTOP)
    }

    /// Says how busy the workers are.
    fn publish_load(&mut self) {
        self.meter.set_running(self.pool.running(), Instant::now());
        let waiting = self.tables.waiting(&clock());
        let now_us = cluster::microseconds(cluster::now());
        let measured = self.meter.measured(Pool::capacity(), waiting, now_us);
        self.entry.load.publish(&measured);
    }

    /// Nothing to do until a change is announced. One announced while we looked only woke us.
    fn stand_down(&self, presence: Presence) {
        self.entry.set_presence(presence);
        self.entry.scheduler.leave();
        if self.block.ring.head() != self.position {
            self.entry.set_presence(Presence::Stopped);
        }
    }

    /// A statement needs the database without sessions: ours finish their work and exit.
    fn make_way(&mut self) {
        self.pool.retire_all();
        while !self.pool.is_empty() && !is_terminating() {
            process::sleep(Some(Duration::from_millis(20)));
            background::attend();
            self.pool.collect();
        }
    }
}

//! The launcher: starts a scheduler for each database with the extension. It is connected to
//! no database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{BACKSTOP, SCHEDULER};
use crate::pg::background::{self, is_terminating};
use crate::pg::{database as databases, process};
use crate::shmem::counters::WORKER_START_FAILURES;
use crate::shmem::database::{self, Presence};
use crate::shmem::{self, Block};

/// How many schedulers may be coming up at once: each looks whether its database has the extension.
const STARTING_MAX: usize = 4;
/// How long one may take to come up.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait before one that has gone is started again, or one that found no room.
const PAUSE: Duration = Duration::from_secs(1);

crate::worker_main! {
    /// The main function of the launcher.
    fn pgtrickle_launcher_main, launch
}

fn launch(_: i32) {
    let Some(block) = shmem::block() else { return };
    background::begin(None, on_exit);
    block.launcher.enter();
    let mut launcher = Launcher {
        block,
        tried: BTreeMap::new(),
        has_complained: false,
    };
    while !is_terminating() {
        background::attend();
        let wait = launcher.look_around();
        process::sleep(Some(wait));
    }
    background::exit_to_return();
}

fn on_exit() {
    if let Some(block) = shmem::block() {
        block.launcher.leave();
    }
}

struct Launcher {
    block: &'static Block,
    /// When a scheduler was last started for a database.
    tried: BTreeMap<u32, Instant>,
    has_complained: bool,
}

impl Launcher {
    /// Starts what is missing, and returns when to look again unless woken.
    fn look_around(&mut self) -> Duration {
        let present = match background::transaction(|| Ok(databases::connectable())) {
            Ok(present) => present,
            Err(failure) => {
                pgrx::warning!("pg_trickle: launcher: {}", failure.message);
                return PAUSE;
            }
        };
        let oids: BTreeSet<u32> = present.iter().map(|found| found.oid.to_u32()).collect();
        for entry in &self.block.databases {
            let is_gone = entry.oid() != 0 && !oids.contains(&entry.oid());
            if is_gone && entry.scheduler.pid().is_none() {
                self.tried.remove(&entry.oid());
                entry.release();
            }
        }
        let mut wait = BACKSTOP;
        // A template is not written to, and must be free to be copied.
        for found in present.iter().filter(|found| !found.is_template) {
            if let Some(again) = self.look_at(found.oid.to_u32()) {
                wait = wait.min(again);
            }
        }
        wait
    }

    fn look_at(&mut self, oid: u32) -> Option<Duration> {
        let entry = database::find_or_claim(&self.block.databases, oid)?;
        let since_try = self.tried.get(&oid).map(Instant::elapsed);
        if entry.presence() == Presence::Starting {
            // One that an earlier launcher started gets the whole time again.
            let since = since_try.unwrap_or_else(|| {
                self.tried.insert(oid, Instant::now());
                Duration::ZERO
            });
            let left = START_TIMEOUT.checked_sub(since);
            if left.is_none() {
                entry.set_presence(Presence::Stopped);
            }
            return Some(left.unwrap_or(PAUSE).max(Duration::from_millis(1)));
        }
        if entry.is_held() {
            return Some(PAUSE);
        }
        if !matches!(entry.presence(), Presence::Unknown | Presence::Stopped) {
            return None;
        }
        if entry.presence() == Presence::Stopped
            && let Some(left) = since_try.and_then(|since| PAUSE.checked_sub(since))
        {
            return Some(left.max(Duration::from_millis(1)));
        }
        let starting = self
            .block
            .databases
            .iter()
            .filter(|other| other.presence() == Presence::Starting)
            .count();
        if starting >= STARTING_MAX {
            return Some(PAUSE);
        }
        self.start(entry, oid)
    }

    fn start(&mut self, entry: &database::Database, oid: u32) -> Option<Duration> {
        self.tried.insert(oid, Instant::now());
        entry.set_presence(Presence::Starting);
        if background::start(SCHEDULER, oid.cast_signed()) {
            return Some(START_TIMEOUT);
        }
        entry.set_presence(Presence::Stopped);
        WORKER_START_FAILURES.count();
        if !std::mem::replace(&mut self.has_complained, true) {
            pgrx::log!("pg_trickle: no scheduler could be started: raise max_worker_processes");
        }
        Some(PAUSE)
    }
}

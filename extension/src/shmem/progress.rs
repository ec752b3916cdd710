//! The progress of recomputations.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};

use crate::pg::{cluster, process};

/// How many recomputations can be followed at once.
pub const FOLLOWED: usize = 64;

/// What a recomputation is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// It runs the query.
    Query = 0,
    /// It compares the stored rows with the result.
    Compare = 1,
    /// It writes the difference.
    Write = 2,
    /// It makes indexes.
    Index = 3,
}

/// An entry. All zero: free.
#[derive(Debug)]
pub struct Progress {
    pid: AtomicI32,
    database: AtomicU32,
    pgt_id: AtomicI64,
    phase: AtomicU32,
    since_us: AtomicI64,
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Takes the entry for a process, if no other process has it that is still there: one that was killed has left its
    /// entry behind.
    fn is_taken_by(&self, own: i32) -> bool {
        let holder = self.pid.load(Ordering::SeqCst);
        (holder == 0 || holder == own || !process::is_alive(holder))
            && self
                .pid
                .compare_exchange(holder, own, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
    }

    /// What it says, if its process is there.
    pub fn seen(&self) -> Option<Seen> {
        let pid = self.pid.load(Ordering::SeqCst);
        process::is_alive(pid).then(|| Seen {
            pid,
            database: self.database.load(Ordering::SeqCst),
            pgt_id: self.pgt_id.load(Ordering::SeqCst),
            phase: match self.phase.load(Ordering::SeqCst) {
                0 => "running the query",
                1 => "comparing",
                2 => "writing",
                _ => "making indexes",
            },
            since_us: self.since_us.load(Ordering::SeqCst),
            done: self.done.load(Ordering::SeqCst),
            total: self.total.load(Ordering::SeqCst),
        })
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The process.
    pub pid: i32,
    /// Its database.
    pub database: u32,
    /// The stream table.
    pub pgt_id: i64,
    /// What it is at.
    pub phase: &'static str,
    /// Since when, in microseconds of the server's clock.
    pub since_us: i64,
    /// Rows dealt with in this phase.
    pub done: u64,
    /// Rows to deal with, 0 if unknown.
    pub total: u64,
}

/// An entry that is ours until it is dropped.
#[derive(Debug)]
pub struct Followed {
    entry: Option<&'static Progress>,
}

impl Followed {
    /// Without anyone to follow it.
    pub fn by_none() -> Self {
        Followed { entry: None }
    }

    /// Begins, at an entry of `entries`; without room it cannot be followed.
    pub fn begin(entries: &'static [Progress], pgt_id: i64) -> Self {
        let own = process::own_pid();
        let entry = entries.iter().find(|entry| entry.is_taken_by(own));
        if let Some(entry) = entry {
            entry
                .database
                .store(cluster::database().to_u32(), Ordering::SeqCst);
            entry.pgt_id.store(pgt_id, Ordering::SeqCst);
            let now_us = cluster::microseconds(cluster::now());
            entry.since_us.store(now_us, Ordering::SeqCst);
        }
        let followed = Followed { entry };
        followed.enter(Phase::Query, 0);
        followed
    }

    /// Enters a phase with so many rows.
    pub fn enter(&self, phase: Phase, total: u64) {
        if let Some(entry) = self.entry {
            entry.phase.store(phase as u32, Ordering::SeqCst);
            entry.done.store(0, Ordering::SeqCst);
            entry.total.store(total, Ordering::SeqCst);
        }
    }

    /// One row more is done.
    #[inline]
    pub fn step(&self) {
        if let Some(entry) = self.entry {
            let done = entry.done.load(Ordering::Relaxed);
            entry.done.store(done + 1, Ordering::Relaxed);
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if let Some(entry) = self.entry {
            entry.pid.store(0, Ordering::SeqCst);
        }
    }
}

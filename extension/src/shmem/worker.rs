//! The refresh workers of the cluster, and the jobs that schedulers hand to them.
//!
//! ```text
//! Free ─scheduler─▶ Starting ─worker─▶ Idle ─scheduler─▶ Busy ─worker─▶ Done ─scheduler─▶ Idle
//!   ▲────────────────────────── the worker's exit, from any state ──────────────────────────┘
//! ```

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::pg::process::{self, Process};

/// How many workers there can be in a cluster.
pub const WORKERS: usize = 64;
/// How many stream tables a job can have.
pub const TASKS: usize = 1024;

/// Where a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// There is none.
    Free = 0,
    /// It is being started.
    Starting = 1,
    /// It waits for a job.
    Idle = 2,
    /// It has one.
    Busy = 3,
    /// It has done it; the outcomes are to be read.
    Done = 4,
}

/// What came of a stream table in a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// Not tried.
    None = 0,
    /// Refreshed.
    Refreshed = 1,
    /// There was nothing to do.
    NoData = 2,
    /// It failed; the catalog says how.
    Failed = 3,
    /// Something that it reads failed.
    Waits = 4,
    /// It is not there, or not to be refreshed.
    Gone = 5,
    /// A session holds a lock on it, or on what it reads.
    Blocked = 6,
}

/// What came of a stream table, and how long the worker was at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskResult {
    /// The stream table.
    pub id: i64,
    /// What came of it.
    pub outcome: Outcome,
    /// For how long.
    pub took: Duration,
}

/// One stream table of a job.
#[derive(Debug)]
struct Task {
    pgt_id: AtomicI64,
    outcome: AtomicU32,
    took_us: AtomicU64,
}

/// A worker's entry. All zero: free.
#[derive(Debug)]
pub struct Worker {
    state: AtomicU32,
    database: AtomicU32,
    /// Rises with each worker that has the entry.
    generation: AtomicU32,
    /// The worker.
    pub process: Process,
    /// Whether it is asked to make room.
    pub retire: AtomicBool,
    /// Whether its job gives way to a session that waits for a lock of it.
    pub gives_way: AtomicBool,
    /// Whether its job does not wait for what is locked, but leaves it for another one.
    pub is_hasty: AtomicBool,
    /// The stream table at which it is, 0 for none.
    pub current: AtomicI64,
    /// When the job began, in microseconds of the server's clock.
    pub since_us: AtomicI64,
    length: AtomicU32,
    tasks: [Task; TASKS],
}

impl Worker {
    /// Where it is.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::SeqCst) {
            1 => State::Starting,
            2 => State::Idle,
            3 => State::Busy,
            4 => State::Done,
            _ => State::Free,
        }
    }

    /// Moves on, if it is where it is expected to be.
    pub fn advance(&self, from: State, to: State) -> bool {
        self.state
            .compare_exchange(from as u32, to as u32, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// The database that it is connected to.
    pub fn database(&self) -> u32 {
        self.database.load(Ordering::SeqCst)
    }

    /// The number of this user of the entry.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Takes a free entry for a worker to be started in `database`.
    pub fn claim(&self, database: u32) -> bool {
        if !self.advance(State::Free, State::Starting) {
            return false;
        }
        self.database.store(database, Ordering::SeqCst);
        self.retire.store(false, Ordering::SeqCst);
        true
    }

    /// Gives the entry back, if `generation` still has it. What was in a job is lost with it.
    pub fn release(&self, generation: u32) {
        let next = generation.wrapping_add(1);
        if self
            .generation
            .compare_exchange(generation, next, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
        {
            self.process.leave();
            self.current.store(0, Ordering::SeqCst);
            self.database.store(0, Ordering::SeqCst);
            self.state.store(State::Free as u32, Ordering::SeqCst);
        }
    }

    /// Cancels its job, which is to be begun again.
    pub fn interrupt(&self) {
        self.gives_way.store(true, Ordering::SeqCst);
        if let Some(pid) = self.process.pid() {
            process::cancel(pid);
        }
    }

    /// Writes a job; the worker is idle and has not been told yet.
    pub fn set_job(&self, pgt_ids: &[i64], is_hasty: bool) {
        self.gives_way.store(false, Ordering::SeqCst);
        self.is_hasty.store(is_hasty, Ordering::SeqCst);
        let mut length = 0;
        for (task, pgt_id) in self.tasks.iter().zip(pgt_ids) {
            task.pgt_id.store(*pgt_id, Ordering::SeqCst);
            task.outcome.store(Outcome::None as u32, Ordering::SeqCst);
            task.took_us.store(0, Ordering::SeqCst);
            length += 1;
        }
        self.length.store(length, Ordering::SeqCst);
    }

    /// The stream tables of the job.
    pub fn job(&self) -> Vec<i64> {
        let length = self.length.load(Ordering::SeqCst) as usize;
        let tasks = self.tasks.iter().take(length);
        tasks
            .map(|task| task.pgt_id.load(Ordering::SeqCst))
            .collect()
    }

    /// Stores what came of the task at `index`, and how long that took.
    pub fn set_outcome(&self, index: usize, outcome: Outcome, took: Duration) {
        if let Some(task) = self.tasks.get(index) {
            let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            task.took_us.store(took_us, Ordering::SeqCst);
            task.outcome.store(outcome as u32, Ordering::SeqCst);
        }
    }

    /// What came of the tasks.
    pub fn results(&self) -> Vec<TaskResult> {
        let length = self.length.load(Ordering::SeqCst) as usize;
        let tasks = self.tasks.iter().take(length);
        tasks
            .map(|task| TaskResult {
                id: task.pgt_id.load(Ordering::SeqCst),
                outcome: match task.outcome.load(Ordering::SeqCst) {
                    1 => Outcome::Refreshed,
                    2 => Outcome::NoData,
                    3 => Outcome::Failed,
                    4 => Outcome::Waits,
                    5 => Outcome::Gone,
                    6 => Outcome::Blocked,
                    _ => Outcome::None,
                },
                took: Duration::from_micros(task.took_us.load(Ordering::SeqCst)),
            })
            .collect()
    }
}

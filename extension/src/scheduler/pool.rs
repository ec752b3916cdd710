//! A scheduler's share of the cluster's workers.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::WORKER;
use super::tables::Job;
use crate::config;
use crate::pg::{background, cluster};
use crate::shmem::Block;
use crate::shmem::counters::{DISPATCHES, WORKER_START_FAILURES};
use crate::shmem::database::Database;
use crate::shmem::worker::{Outcome, State, TaskResult, Worker};

/// How long a worker may take to come up.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait before asking for one again that the server had no room for.
const START_PAUSE: Duration = Duration::from_secs(1);
/// How long a worker serves its database while another one waits for a worker.
const TURN: Duration = Duration::from_secs(1);

/// A job that is being done.
pub struct Running<'a> {
    /// By this worker.
    pub worker: &'a Worker,
    /// Its process.
    pub pid: i32,
    /// The stream tables.
    pub ids: &'a [i64],
    /// For how long.
    pub since: Duration,
}

/// The workers, from the view of one scheduler.
pub struct Pool<'a> {
    block: &'a Block,
    own: &'a Database,
    /// Jobs handed out: the worker's generation and the tables.
    jobs: BTreeMap<usize, (u32, Vec<i64>)>,
    starting: BTreeMap<usize, (u32, Instant)>,
    /// Workers that have been given a job: their generation, and when the first one was.
    serving: BTreeMap<usize, (u32, Instant)>,
    refused_at: Option<Instant>,
}

impl<'a> Pool<'a> {
    /// No job is handed out yet.
    pub fn new(block: &'a Block, own: &'a Database) -> Self {
        Pool {
            block,
            own,
            jobs: BTreeMap::new(),
            starting: BTreeMap::new(),
            serving: BTreeMap::new(),
            refused_at: None,
        }
    }

    fn workers(&self) -> impl Iterator<Item = (usize, &'a Worker)> + use<'a> {
        self.block.workers.iter().enumerate()
    }

    fn is_own(&self, worker: &Worker) -> bool {
        worker.state() != State::Free && worker.database() == self.own.oid()
    }

    /// What has come of jobs that have ended, or whose worker has.
    pub fn collect(&mut self) -> Vec<Vec<TaskResult>> {
        let mut ended = Vec::new();
        let block = self.block;
        self.jobs.retain(|index, (generation, job)| {
            let Some(worker) = block.workers.get(*index) else {
                return false;
            };
            if worker.generation() != *generation {
                let lost = job.iter().map(|id| TaskResult {
                    id: *id,
                    outcome: Outcome::None,
                    took: Duration::ZERO,
                });
                ended.push(lost.collect());
                return false;
            }
            if worker.state() != State::Done {
                return true;
            }
            ended.push(worker.results());
            free(worker, State::Done);
            false
        });
        self.give_up_starting();
        self.release_inherited();
        ended
    }

    /// A job of a former scheduler has no meaning for us: we have begun with everything due. Its
    /// worker is free again, and looks whether it has been asked to go.
    fn release_inherited(&self) {
        let done = self
            .workers()
            .filter(|(index, worker)| self.is_own(worker) && !self.jobs.contains_key(index));
        for (_, worker) in done {
            if worker.advance(State::Done, State::Idle) {
                worker.process.wake();
            }
        }
    }

    /// A worker that has not come up by now will not.
    fn give_up_starting(&mut self) {
        let block = self.block;
        self.starting.retain(|index, (generation, since)| {
            let Some(worker) = block.workers.get(*index) else {
                return false;
            };
            let waits = worker.generation() == *generation && worker.state() == State::Starting;
            if waits && since.elapsed() > START_TIMEOUT {
                worker.release(*generation);
                return false;
            }
            waits
        });
    }

    /// Whether another database waits for a worker.
    fn others_wait(&self) -> bool {
        let own = self.own.oid();
        self.block.databases.iter().any(|database| {
            ![0, own].contains(&database.oid()) && database.wants_worker.load(Ordering::SeqCst)
        })
    }

    /// Offers idle workers to the databases that wait for one.
    pub fn make_room(&self) {
        let mut own = self.workers().filter(|(_, worker)| self.is_own(worker));
        if self.others_wait() && own.any(|(_, worker)| worker.state() == State::Idle) {
            wake_waiting(self.block);
        }
    }

    /// Asks workers to go whose turn is over.
    fn end_turns(&self) {
        if !self.others_wait() {
            return;
        }
        for (index, (generation, since)) in &self.serving {
            if let Some(worker) = self.block.workers.get(*index)
                && worker.generation() == *generation
                && since.elapsed() > TURN
                && !worker.retire.swap(true, Ordering::SeqCst)
            {
                worker.process.wake();
            }
        }
    }

    /// Hands a job to an idle worker; false if there is none or a drain has begun.
    pub fn hand_out(&mut self, job: &Job, now_us: i64) -> bool {
        self.end_turns();
        let own = self.own.oid();
        let Some((index, worker)) = self.workers().find(|(_, worker)| {
            worker.state() == State::Idle
                && worker.database() == own
                && !worker.retire.load(Ordering::SeqCst)
        }) else {
            return false;
        };
        let generation = worker.generation();
        worker.set_job(&job.ids, job.is_hasty);
        worker.since_us.store(now_us, Ordering::SeqCst);
        if worker.retire.load(Ordering::SeqCst) || !worker.advance(State::Idle, State::Busy) {
            return false;
        }
        // A drain that has begun since counts busy workers from now on; what it did not count must
        // not begin.
        if self.block.drain.is_on() {
            free(worker, State::Busy);
            return false;
        }
        self.jobs.insert(index, (generation, job.ids.clone()));
        let served = self.serving.get(&index);
        if served.is_none_or(|(known, _)| *known != generation) {
            self.serving.insert(index, (generation, Instant::now()));
        }
        worker.process.wake();
        DISPATCHES.count();
        true
    }

    /// The jobs that are being done.
    pub fn jobs_running(&self) -> Vec<Running<'_>> {
        let now_us = cluster::microseconds(cluster::now());
        let running = self.jobs.iter().filter_map(|(index, (generation, ids))| {
            let worker = self.block.workers.get(*index)?;
            let is_running = worker.generation() == *generation && worker.state() == State::Busy;
            let since_us = now_us.saturating_sub(worker.since_us.load(Ordering::SeqCst));
            Some(Running {
                worker,
                pid: worker.process.pid().filter(|_| is_running)?,
                ids,
                since: Duration::from_micros(u64::try_from(since_us).unwrap_or(0)),
            })
        });
        running.collect()
    }

    /// How many jobs are handed out.
    pub fn running(&self) -> usize {
        self.jobs.len()
    }

    /// How many workers the database may have.
    pub fn capacity() -> usize {
        config::max_workers_per_database().min(config::max_refresh_workers())
    }

    /// Sees to it that another worker comes up, as far as limits allow: a new one, or one in the
    /// place of an idle one of another database. How long until it is worth asking again, if that
    /// is not told by a wake-up.
    pub fn ask_for_worker(&mut self) -> Option<Duration> {
        let own = self
            .workers()
            .filter(|(_, worker)| self.is_own(worker))
            .count();
        let quota = config::max_workers_per_database();
        if own >= quota || self.is_one_starting() {
            return None;
        }
        let all = self
            .workers()
            .filter(|(_, worker)| worker.state() != State::Free)
            .count();
        if all >= config::max_refresh_workers() {
            self.own.wants_worker.store(true, Ordering::SeqCst);
            self.retire_another();
            return None;
        }
        if let Some(pause) = self
            .refused_at
            .and_then(|at| START_PAUSE.checked_sub(at.elapsed()))
        {
            return Some(pause);
        }
        let database = self.own.oid();
        let (index, worker) = self.workers().find(|(_, worker)| worker.claim(database))?;
        let generation = worker.generation();
        if background::start(WORKER, argument(index, generation)) {
            self.starting.insert(index, (generation, Instant::now()));
            return Some(START_TIMEOUT);
        }
        worker.release(generation);
        WORKER_START_FAILURES.count();
        if self.refused_at.replace(Instant::now()).is_none() {
            pgrx::log!(
                "pg_trickle: no refresh worker could be started: raise max_worker_processes"
            );
        }
        Some(START_PAUSE)
    }

    fn is_one_starting(&self) -> bool {
        self.workers()
            .any(|(_, worker)| self.is_own(worker) && worker.state() == State::Starting)
    }

    /// Asks an idle worker of another database to go.
    fn retire_another(&self) {
        let idle = self.workers().find(|(_, worker)| {
            worker.state() == State::Idle && worker.database() != self.own.oid()
        });
        if let Some((_, worker)) = idle {
            worker.retire.store(true, Ordering::SeqCst);
            worker.process.wake();
        }
    }

    /// Asks all own workers to go when they are done.
    pub fn retire_all(&self) {
        for (_, worker) in self.workers().filter(|(_, worker)| self.is_own(worker)) {
            worker.retire.store(true, Ordering::SeqCst);
            worker.process.wake();
        }
    }

    /// Whether it has no workers left.
    pub fn is_empty(&self) -> bool {
        !self.workers().any(|(_, worker)| self.is_own(worker))
    }
}

/// A worker has no job any more. One that was asked to go while it had one looks again: it has slept over the wake-up.
fn free(worker: &Worker, from: State) {
    if worker.advance(from, State::Idle) && worker.retire.load(Ordering::SeqCst) {
        worker.process.wake();
    }
}

/// An entry's number and its generation's lower bits, for a worker's argument.
fn argument(index: usize, generation: u32) -> i32 {
    ((generation & 0x007f_ffff) << 8 | (index as u32 & 0xff)).cast_signed()
}

/// The entry that a worker was started for, if that still waits for it.
pub fn entry_of(block: &Block, argument: i32) -> Option<(&Worker, u32)> {
    let argument = argument.cast_unsigned();
    let worker = block.workers.get((argument & 0xff) as usize)?;
    let generation = worker.generation();
    let is_for_us = generation & 0x007f_ffff == argument >> 8 && worker.state() == State::Starting;
    is_for_us.then_some((worker, generation))
}

/// Wakes the schedulers that wait for a worker to become free.
pub fn wake_waiting(block: &Block) {
    for database in &block.databases {
        if database.oid() != 0 && database.wants_worker.swap(false, Ordering::SeqCst) {
            database.scheduler.wake();
        }
    }
}

/// Wakes the scheduler of a database.
pub fn wake_scheduler(block: &Block, database: u32) {
    if let Some(database) = crate::shmem::database::find(&block.databases, database) {
        database.scheduler.wake();
    }
}

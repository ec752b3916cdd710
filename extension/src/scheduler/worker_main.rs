//! A refresh worker: waits for jobs, keeps its plans warm, makes room when asked.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::{job, pool};
use crate::config;
use crate::pg::background::{self, is_terminating};
use crate::pg::process;
use crate::shmem::worker::{State, Worker};
use crate::shmem::{self, notes};

/// How long a worker without jobs stays.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// The entry of this process, and its generation.
static ENTRY: OnceLock<(&'static Worker, u32, u32)> = OnceLock::new();

crate::worker_main! {
    /// The main function of a refresh worker.
    fn pgtrickle_worker_main, work
}

fn work(argument: i32) {
    let Some(block) = shmem::block() else { return };
    let Some((worker, generation)) = pool::entry_of(block, argument) else {
        return;
    };
    let database = worker.database();
    if ENTRY.set((worker, generation, database)).is_err() {
        return;
    }
    background::begin(Some(pg_sys::Oid::from(database)), on_exit);
    notes::i_am_a_worker();
    worker.process.enter();
    worker.advance(State::Starting, State::Idle);
    pool::wake_scheduler(block, database);
    serve(worker, database);
}

fn serve(worker: &Worker, database: u32) {
    let Some(block) = shmem::block() else { return };
    let mut idle_since = Instant::now();
    background::show(None);
    loop {
        background::attend();
        if worker.state() == State::Busy {
            let done = background::finishing(config::drain_timeout_s(), || job::run(worker));
            if done.is_none() || !worker.advance(State::Busy, State::Done) {
                return;
            }
            pool::wake_scheduler(block, database);
            idle_since = Instant::now();
            background::show(None);
            continue;
        }
        let is_over = is_terminating()
            || worker.retire.load(Ordering::SeqCst)
            || idle_since.elapsed() > IDLE_TIMEOUT;
        // A scheduler gives no job to a worker in state Starting.
        if is_over && worker.advance(State::Idle, State::Starting) {
            return;
        }
        if is_terminating() && worker.state() == State::Done {
            return;
        }
        let left = IDLE_TIMEOUT.saturating_sub(idle_since.elapsed());
        process::sleep(Some(left + Duration::from_millis(1)));
    }
}

fn on_exit() {
    if let (Some((worker, generation, database)), Some(block)) = (ENTRY.get(), shmem::block()) {
        worker.release(*generation);
        pool::wake_scheduler(block, *database);
        pool::wake_waiting(block);
    }
}

//! The block of shared memory: its content and layout.

use crate::config::WORKERS;
use crate::pg::process::Process;
use crate::pg::shared::{self, Shareable, SharedMemory};

use super::counts::Counts;
use super::database::{DATABASES, Database};
use super::drain::Drain;
use super::progress::{FOLLOWED, Followed, Progress, Seen};
use super::ring::Ring;
use super::worker::{State, Worker};

/// All of it.
pub struct Block {
    /// Starts the schedulers.
    pub launcher: Process,
    /// One entry per database that has, or may have, the extension.
    pub databases: [Database; DATABASES],
    /// The refresh workers of all databases.
    pub workers: [Worker; WORKERS],
    /// Definitions that changed.
    pub ring: Ring,
    /// Whether refreshes are wanted, and how many are running.
    pub drain: Drain,
    /// Recomputations that run.
    pub progress: [Progress; FOLLOWED],
    /// Events since the start of the server.
    pub counters: Counts,
}

// The one line of `unsafe` outside of `pg`: only the type's own definition shows that it is true.
#[allow(unsafe_code)]
// SAFETY: made of atomics throughout, for each of which zero is a value.
unsafe impl Shareable for Block {}

static BLOCK: SharedMemory<Block> = SharedMemory::new(c"pg_trickle");

/// The block; `None` if the library was not preloaded.
pub fn block() -> Option<&'static Block> {
    BLOCK.get()
}

/// Asks for it while the library is preloaded.
pub fn install() {
    if shared::is_preloading() {
        shared::install(&BLOCK);
    }
}

impl Block {
    /// How many transactions refresh, and how many workers have a job but no transaction yet. The
    /// transactions of workers are counted as workers only.
    pub fn in_flight(&self) -> usize {
        let workers = self.workers.iter();
        let busy = workers.filter(|worker| worker.state() == State::Busy);
        busy.count() + self.drain.transactions()
    }
}

/// Begins to show how far a recomputation of the stream table has come.
pub fn follow_recomputation(pgt_id: i64) -> Followed {
    Followed::begin(recomputations(), pgt_id)
}

/// The recomputations that are running.
pub fn running_recomputations() -> Vec<Seen> {
    recomputations().iter().filter_map(Progress::seen).collect()
}

fn recomputations() -> &'static [Progress] {
    block().map_or(&[], |block| block.progress.as_slice())
}

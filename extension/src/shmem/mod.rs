//! What the processes of the cluster tell each other: which sources are dirty, which definitions
//! have changed, who refreshes what, whether a drain is on. There only if the library is preloaded.
//!
//! Everything is atomics, without locks: a committing session must neither wait nor fail here. All
//! of it is a hint that may come twice; what decides is always read from the catalog. A crash of the
//! server empties it.

pub mod counters;
pub mod database;
pub mod dirty;
pub mod drain;
pub mod load;
pub mod notes;
pub mod progress;
pub mod ring;
pub mod worker;

use crate::config::WORKERS;
use crate::pg::process::Process;
use crate::pg::shared::{self, Shareable, SharedMemory};
use crate::pg::transaction_end;

use counters::Counters;
use database::{DATABASES, Database};
use drain::Drain;
use progress::{FOLLOWED, Progress};
use ring::Ring;
use worker::Worker;

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
    pub counters: Counters,
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

/// Asks for shared memory while the library is preloaded; listens to the ends of transactions.
pub fn init() {
    if shared::is_preloading() {
        shared::install(&BLOCK);
    }
    transaction_end::listen(notes::on_end);
}

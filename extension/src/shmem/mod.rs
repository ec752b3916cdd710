//! Messages between the processes of the cluster: dirty sources, changed definitions, jobs of workers,
//! whether a drain is on. Exists only if the library is preloaded.
//!
//! Everything is atomics, without locks: a committing session must neither wait nor fail here. All
//! of it is a hint that may come twice; decisions always read the catalog. A crash of the
//! server empties it.

mod block;
pub mod counters;
mod counts;
pub mod database;
pub mod dirty;
pub mod drain;
pub mod load;
pub mod notes;
pub mod progress;
pub mod ring;
pub mod worker;

pub use block::{Block, block, follow_recomputation, running_recomputations};

use crate::pg::transaction_end;

/// Asks for shared memory while the library is preloaded; listens to the ends of transactions.
pub fn init() {
    block::install();
    transaction_end::listen(notes::on_end);
}

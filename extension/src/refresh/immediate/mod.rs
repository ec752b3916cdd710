//! IMMEDIATE mode: a stream table changes in the transaction that changes its sources, at the end of
//! each statement, by the same delta statements as in a refresh.
//!
//! A BEFORE statement trigger on each source locks the stream tables that depend on it ([`followers`])
//! until the transaction ends. An AFTER statement trigger reads the statement's transition tables and
//! updates the stream tables ([`follow`]) at a snapshot taken then. Two rules make it exact:
//!
//! - **One writer at a time.** A transaction that changes a source of a stream table holds its lock from
//!   before the first change until commit. So the snapshot shows all changes of others as
//!   committed, and their own transactions have applied them. A snapshot from before
//!   the lock (REPEATABLE READ) may hide a change: then there is a serialization failure ([`turn`]).
//!   Where each row depends only on the change and itself, the lock is shared, and each row has one
//!   writer at a time ([`rows`]).
//! - **Not in the middle.** While a statement on one of its sources runs, whose rows the snapshot
//!   already shows and whose transition tables are still unread, a stream table waits ([`running`]): for
//!   the other tables of a data-modifying CTE, for cascades of foreign keys, and for the statement
//!   whose trigger ran the current one.
//!
//! Invariants: nothing of this survives the transaction; frontier and history are not touched.

mod follow;
mod followers;
mod graph;
mod install;
mod recorder;
mod redefined;
pub(super) mod rows;
pub(super) mod running;
mod told;
mod trigger;
mod turn;

pub use follow::follow_all;
pub use followers::lock_followers;
pub use install::{prepare_source, uninstall};
pub use recorder::Recorder;
pub use redefined::{follow_definitions, note_abandoned, note_rewrite};
pub use rows::require_latest;
pub use turn::take_turn;

/// Listens to the ends of transactions.
pub fn init() {
    running::init();
    rows::init();
}

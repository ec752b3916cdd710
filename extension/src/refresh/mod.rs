//! The refresh: from one MVCC snapshot to a later one, exactly.
//!
//! Order of events, on which exactness rests:
//! 1. lock the stream table against other refreshes, and its sources against TRUNCATE and rewrites;
//! 2. then take one snapshot, under which everything is read;
//! 3. read what the snapshot shows and the stored frontier does not;
//! 4. run the plan's statements over these deltas, and write natively;
//! 5. store the snapshot as the new frontier, in the same transaction.
//!
//! Invariants: statements only read; a refresh that sees no change writes nothing; rows are written natively, as
//! one statement would: the stream table's triggers fire, the guard does not.

mod choice;
pub mod chunks;
mod compiled;
mod consolidated;
mod cost;
mod delta_set;
mod delta_shape;
mod dependencies;
mod difference;
mod differential;
mod draft;
mod engine_obstacle;
mod explain;
mod files;
mod full;
pub mod guard;
mod images;
pub mod immediate;
mod inputs;
mod keyed_table;
mod layout;
mod node;
mod opened;
mod pairing;
mod partition;
mod prior;
mod reach;
mod recursion;
mod rewritten;
mod row_types;
mod sink;
mod spread;
mod statements;
mod transaction;
pub mod two_steps;
pub mod watch;
mod work;

pub use compiled::{forget, keep_if_few};
pub use dependencies::{release, sync as store_dependencies};
pub use draft::Draft;
pub use engine_obstacle::{engine_obstacle, not_immediate};
pub use explain::{ExplainLine, explain};
pub use layout::{drop_key_index, drop_state_tables, state_tables};
pub use spread::{Sum, Task, ask as ask_nodes};
pub use transaction::{
    Outcome, Request, clean_up_after, elapsed_ms, lock_before_snapshot, prepare,
    prepare_as_decided, run,
};

//! The refresh: from one MVCC snapshot to a later one, exactly.
//!
//! Exactness depends on this order:
//! 1. lock the stream table against other refreshes, and its sources against TRUNCATE and rewrites;
//! 2. then take one snapshot, under which everything is read;
//! 3. read what the snapshot shows and the stored frontier does not;
//! 4. run the plan's statements over these deltas, and write natively;
//! 5. store the snapshot as the new frontier, in the same transaction.
//!
//! One refresh, by file: [`request`], [`choice`] (deltas, recomputing the plan, or the query), [`locks`], [`transaction`] (the
//! whole), [`work`]; then [`differential`] with [`inputs`], [`node`], [`seen`] and [`sink`], or [`full`] with [`difference`];
//! [`outcome`] and [`cleanup`]. Before the first one, [`prepare`] makes what the plan needs.
//!
//! Invariants: statements only read; a refresh that sees no change writes nothing; rows are written natively, like
//! one statement: the stream table's triggers fire, the guard does not.

mod block_delta;
mod choice;
pub mod chunks;
mod cleanup;
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
mod locks;
mod lookup;
mod node;
mod opened;
mod outcome;
mod pairing;
mod partition;
mod plan_cache;
mod prepare;
mod prior;
mod reach;
mod recursion;
mod request;
mod rewritten;
mod row_parts;
mod row_types;
mod seen;
mod sink;
mod spread;
mod state_names;
mod statements;
mod transaction;
pub mod two_steps;
pub mod watch;
mod watched;
mod work;

pub use cleanup::clean_up_after;
pub use dependencies::{release, sync as store_dependencies};
pub use draft::Draft;
pub use engine_obstacle::{engine_obstacle, not_immediate};
pub use explain::{ExplainLine, explain};
pub use layout::{drop_key_index, drop_state_tables};
pub use locks::lock_before_snapshot;
pub use outcome::Outcome;
pub use plan_cache::{forget, keep_if_few};
pub use prepare::{prepare, prepare_as_decided};
pub use request::Request;
pub use spread::{Sum, Task, ask as ask_nodes};
pub use state_names::{id_of_part, shown_name, state_tables};
pub use transaction::run;

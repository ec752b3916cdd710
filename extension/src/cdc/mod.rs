//! Change capture: how changes of a source are written, stored, read and removed.
//!
//! Each captured table has one buffer for all its consumers. A row of it is a change: the full id of
//! the top-level transaction, the epoch in it, a weight, and the columns that some consumer reads.
//! `pg_trickle.cdc_trigger_mode` chooses between two writers: [`capture`], native, and a
//! generated PL/pgSQL function. A stream table's refresh fills its buffer through
//! [`BufferWriter`]. Changes for IMMEDIATE stream tables go to no buffer: [`TransientChanges`].
//!
//! Invariant: a row is removed only when all consumers' frontiers contain it.

mod belonging;
mod buffer;
mod capture;
mod cleanup;
mod consolidation;
mod delta;
mod install;
mod marker;
pub mod seen;
mod shared;
mod sizes;
mod source;
mod target;
mod transient;
pub mod weighted;
mod writer;

pub use belonging::{has_shared_child, is_captured, is_told_by_rows, sources_by_rows, sources_of};
pub use buffer::{TABLE, find as buffer_of};
pub use cleanup::{cleanup, wants_cleanup};
pub use consolidation::SourceDelta;
pub use delta::{pending_rows, read_delta};
pub use install::{
    ensure_partition_triggers, follow_alter, follow_rewrite, install, install_buffer_only,
    is_native_writer, keep_writers_out, uninstall,
};
pub use marker::Marker;
pub use shared::SharedDeltas;
pub use sizes::{BufferSize, has_news, size};
pub use source::{
    is_obstacle, is_subscribed, lock_chunks, lock_idle, members, obstacle, partitions_signature,
    require_idle,
};
pub use transient::{TransientChanges, TransientWriter};
pub use writer::BufferWriter;

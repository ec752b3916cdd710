//! Records the transaction that last changed a stream table, so that a writer with an older snapshot
//! is refused.
//!
//! The lock of the stream table orders the writers, but does not reveal a writer that came and went
//! between our snapshot and our lock. Under READ COMMITTED the snapshot is taken after the lock.

use crate::catalog::{self, StreamTable};
use crate::error::{Error, Result};
use crate::frontier::{of_active_snapshot, top_xid};
use crate::pg::snapshot::is_transaction_wide;

/// Makes this transaction the last to change the stream table, whose lock it holds.
///
/// # Errors
/// A serialization failure if the active snapshot does not show the one before.
pub fn take_turn(table: &StreamTable) -> Result<()> {
    let own = top_xid();
    match catalog::last_writer(table.pgt_id)? {
        Some(last) if last == own => Ok(()),
        Some(last) if is_transaction_wide() && !of_active_snapshot().consumes(last, 0) => {
            Err(Error::SnapshotTooOld(table.plain_name()))
        }
        last => catalog::set_last_writer(table.pgt_id, own, last.is_some()),
    }
}

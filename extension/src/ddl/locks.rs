//! Locking the sources of a stream table, then the stream table.

use crate::catalog::{self, RefreshMode, RequestedMode, StreamTable};
use crate::cdc;
use crate::error::{Error, Result};
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;

/// Locks a stream table as a refresh does, so that no refresh runs and no session drops it, and rereads its row. DROP TABLE takes
/// the table's own lock first, and that lock alone guarantees that its row stays.
pub fn lock(table: &StreamTable) -> Result<StreamTable> {
    catalog::lock(table.pgt_id)?;
    Relation::try_open(table.relid, LockMode::AccessShare).ok_or(Error::Vanished)?;
    catalog::existing(table.pgt_id)
}

/// Locks what an IMMEDIATE stream table reads, or one that will be IMMEDIATE, against writers: before the
/// stream table itself, as writers do, who hold the lock of the source when they ask for that.
pub fn lock_sources_of(table: &StreamTable, requested: RequestedMode) -> Result<()> {
    if table.refresh_mode != RefreshMode::Immediate && requested != RequestedMode::Immediate {
        return Ok(());
    }
    for dependency in catalog::dependencies(table.pgt_id)? {
        match catalog::load_by_relid(dependency.source)? {
            Some(source) => catalog::lock(source.pgt_id)?,
            None => {
                cdc::keep_writers_out(dependency.source);
            }
        }
    }
    Ok(())
}

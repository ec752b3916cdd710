//! Locking what a stream table reads before the stream table itself.

use crate::catalog::{self, RefreshMode, RequestedMode, StreamTable};
use crate::cdc;
use crate::error::Result;

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

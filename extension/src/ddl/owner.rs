//! The parts of a stream table belong to its owner.

use crate::catalog::StreamTable;
use crate::error::Result;
use crate::pg::depend;
use crate::refresh;

/// Gives the internal view and the state tables to the owner of the stream table.
pub fn sync(table: &StreamTable) -> Result<()> {
    let Some(owner) = depend::owner_of(table.relid) else {
        return Ok(());
    };
    let mut parts = vec![table.view];
    parts.extend(refresh::state_tables(table.pgt_id)?);
    for part in parts {
        if depend::owner_of(part).is_some_and(|present| present != owner) {
            depend::change_owner(part, owner);
        }
    }
    Ok(())
}

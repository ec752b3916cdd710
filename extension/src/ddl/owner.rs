//! The parts of a stream table belong to its owner.

use crate::catalog::StreamTable;
use crate::error::Result;
use crate::pg::depend;
use crate::refresh;

/// Gives the internal view, state tables and images to the owner of the stream table.
pub fn sync(table: &StreamTable) -> Result<()> {
    let Some(owner) = depend::owner_of(table.relid) else {
        return Ok(());
    };
    if table.is_in_two_steps() {
        refresh::two_steps::change_owner(table, owner)?;
    }
    let mut parts = vec![table.view];
    parts.extend(refresh::state_tables(table.pgt_id)?);
    for part in parts {
        if depend::owner_of(part).is_some_and(|present| present != owner) {
            depend::change_owner(part, owner);
        }
    }
    Ok(())
}

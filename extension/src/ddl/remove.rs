//! Removing a stream table, and cleaning up after one that PostgreSQL has dropped.

use pgrx::prelude::*;

use crate::catalog::{self, StreamTable};
use crate::error::{Error, Result};
use crate::pg::{depend, name};
use crate::refresh;

use super::internal_view::view_name;
use super::locks;

/// Drops a stream table as `DROP TABLE` does, with the caller's rights.
pub fn drop(table: &StreamTable, cascade: bool) -> Result<()> {
    locks::lock_sources_of(table, table.requested_mode)?;
    let table = locks::lock(table)?;
    let behavior = if cascade { "CASCADE" } else { "RESTRICT" };
    Spi::run(&format!("DROP TABLE {} {behavior}", table.qualified_name()))
        .map_err(|error| Error::Internal(error.to_string()))?;
    forget(table.pgt_id)
}

/// Removes all that the catalog knows of a stream table whose relation is gone, and what is left of
/// its parts. Does nothing the second time.
pub fn forget(pgt_id: i64) -> Result<()> {
    let known = catalog::load(pgt_id)?;
    if !catalog::delete(pgt_id)? {
        return Ok(());
    }
    if known.is_some_and(|table| table.is_in_two_steps()) {
        refresh::two_steps::drop_anchors(pgt_id)?;
    }
    catalog::delete_history(pgt_id)?;
    catalog::delete_last_writer(pgt_id)?;
    refresh::release(pgt_id)?;
    refresh::drop_state_tables(pgt_id)?;
    drop_view(pgt_id)?;
    refresh::forget(pgt_id);
    Ok(())
}

/// Drops the internal view alone.
pub fn drop_view(pgt_id: i64) -> Result<()> {
    let schema = name::find_namespace(c"pgtrickle_state");
    if let Some(schema) = schema
        && let Some(view) = name::relation_in(schema, &view_name(pgt_id))?
    {
        depend::detach(view);
        depend::drop_relation(view, false);
    }
    Ok(())
}

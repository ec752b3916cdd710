//! Removing a stream table, and cleaning up after one that PostgreSQL has dropped.

use pgrx::prelude::*;

use crate::catalog::{self, StreamTable};
use crate::cdc;
use crate::error::{Error, Result};
use crate::pg::{depend, name};
use crate::refresh;

use super::create::view_name;
use super::dependencies;

/// Drops a stream table as `DROP TABLE` does, with the caller's rights.
pub fn drop(table: &StreamTable, cascade: bool) -> Result<()> {
    dependencies::lock_sources_of(table, table.requested_mode)?;
    catalog::lock(table.pgt_id)?;
    catalog::load(table.pgt_id)?.ok_or(Error::Vanished)?;
    let behavior = if cascade { "CASCADE" } else { "RESTRICT" };
    Spi::run(&format!("DROP TABLE {} {behavior}", table.qualified_name()))
        .map_err(|error| Error::Internal(error.to_string()))?;
    forget(table.pgt_id)
}

/// Removes all that the catalog knows of a stream table whose relation is gone, and what is left of
/// its parts. Does nothing the second time.
pub fn forget(pgt_id: i64) -> Result<()> {
    if !catalog::delete(pgt_id)? {
        return Ok(());
    }
    catalog::delete_history(pgt_id)?;
    catalog::delete_last_writer(pgt_id)?;
    release(pgt_id)?;
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

/// Removes the dependencies of a stream table, and capture from tables that nobody else needs.
pub fn release(pgt_id: i64) -> Result<()> {
    for dependency in catalog::delete_dependencies(pgt_id)? {
        if dependency.capture {
            release_source(dependency.source)?;
        }
    }
    Ok(())
}

/// Removes capture from a table if nobody needs its changes, now or later.
pub fn release_source(source: pg_sys::Oid) -> Result<()> {
    if catalog::consumers_of(source)?.is_empty() {
        cdc::uninstall(source)?;
    }
    if catalog::immediate_readers_of(source)?.is_empty() {
        refresh::immediate::uninstall(source)?;
    }
    Ok(())
}

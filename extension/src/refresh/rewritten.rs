//! A transaction with one snapshot must not refresh from or into tables that were emptied or rewritten after it:
//! the snapshot would show a state of them that never existed.

use pgrx::pg_sys;

use crate::catalog::StreamTable;
use crate::error::{CaptureError, Error, Result};
use crate::parse;
use crate::pg::lock_mode::LockMode;
use crate::pg::snapshot::is_transaction_wide;
use crate::pg::{depend, inherit, name, rewritten};

use super::compiled::Compiled;
use super::state_names;

/// Refuses the active snapshot if it is older than a TRUNCATE or a rewrite of a source, or of the stream table and its
/// state (REPACK CONCURRENTLY gives rows to no older snapshot). All of them are locked.
///
/// # Errors
/// A serialization failure.
pub fn require_none(table: &StreamTable, compiled: Option<&Compiled>) -> Result<()> {
    if !is_transaction_wide() {
        return Ok(());
    }
    for source in sources(table, compiled)? {
        if rewritten::since_snapshot(source) {
            let name = name::relation_name(source).unwrap_or_default();
            return Err(CaptureError::Rewritten(name).into());
        }
    }
    let own = state_names::state_tables(table.pgt_id)?;
    if own
        .into_iter()
        .chain([table.relid])
        .any(rewritten::since_snapshot)
    {
        return Err(Error::SnapshotTooOld(table.plain_name()));
    }
    Ok(())
}

fn sources(table: &StreamTable, compiled: Option<&Compiled>) -> Result<Vec<pg_sys::Oid>> {
    if let Some(compiled) = compiled {
        let trees = compiled.tables.iter().flat_map(|source| &source.tree);
        return Ok(trees.map(|oid| pg_sys::Oid::from(*oid)).collect());
    }
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    let sources = parse::analyse_view(table.view, owner, &table.settings)?.sources;
    Ok(sources
        .iter()
        .flat_map(|source| inherit::tree(source.oid, LockMode::AccessShare))
        .collect())
}

//! Keeping `pgt_dependencies` equal to what the plan reads: a nested view may be replaced.

use pgrx::pg_sys;

use super::immediate;
use crate::catalog::{self, Dependency};
use crate::cdc;
use crate::dag::check_for_cycles;
use crate::error::Result;

/// Stores the tables that a stream table reads, by rising OID, with the attribute numbers that it reads, and whether it
/// needs their changes. Capture ends for tables without readers.
pub fn sync(pgt_id: i64, sources: &[(pg_sys::Oid, &[i16])], capture: bool) -> Result<()> {
    let mut present = catalog::dependencies(pgt_id)?;
    let files_of = |source| present.iter().find(|d| d.source == source)?.files;
    let wanted: Vec<Dependency> = sources
        .iter()
        .map(|(source, columns)| Dependency {
            pgt_id,
            source: *source,
            columns: columns.to_vec(),
            capture,
            files: files_of(*source),
        })
        .collect();
    present.sort_by_key(|dependency| dependency.source.to_u32());
    if present == wanted {
        return Ok(());
    }
    if let Some(table) = catalog::load(pgt_id)? {
        check_for_cycles(&table, sources.iter().map(|(source, _)| *source))?;
    }
    catalog::delete_dependencies(pgt_id)?;
    for dependency in &wanted {
        catalog::insert_dependency(dependency)?;
    }
    for old in present {
        if old.capture && !wanted.iter().any(|new| new.source == old.source) {
            release_source(old.source)?;
        }
    }
    Ok(())
}

/// Removes the dependencies of a stream table, and capture from tables without other readers.
pub fn release(pgt_id: i64) -> Result<()> {
    for dependency in catalog::delete_dependencies(pgt_id)? {
        if dependency.capture {
            release_source(dependency.source)?;
        }
    }
    Ok(())
}

/// Removes capture from a table if no stream table needs its changes.
fn release_source(source: pg_sys::Oid) -> Result<()> {
    if catalog::consumers_of(source)?.is_empty() {
        cdc::uninstall(source)?;
    }
    if catalog::immediate_readers_of(source)?.is_empty() {
        immediate::uninstall(source)?;
    }
    Ok(())
}

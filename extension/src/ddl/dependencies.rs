//! Keeping `pgt_dependencies` equal to what the plan reads: a nested view may be replaced.

use pgrx::pg_sys;

use super::remove;
use crate::catalog::{self, Dependency, RefreshMode, RequestedMode, StreamTable};
use crate::cdc;
use crate::dag::check_for_cycles;
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

/// Stores the tables whose changes a stream table needs, with the attribute numbers that it reads.
/// Capture ends for those that nobody reads any more.
pub fn sync(pgt_id: i64, sources: &[(pg_sys::Oid, &[i16])]) -> Result<()> {
    let wanted: Vec<Dependency> = sources
        .iter()
        .map(|(source, columns)| Dependency {
            pgt_id,
            source: *source,
            columns: columns.to_vec(),
            capture: true,
        })
        .collect();
    let mut present = catalog::dependencies(pgt_id)?;
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
            remove::release_source(old.source)?;
        }
    }
    Ok(())
}

//! Which sources a table belongs to, and how their changes are captured.
//!
//! Statement triggers capture a root: the transition tables of a statement on it hold the rows of all tables
//! below. They do not name the table of a row, and a statement on a table above a source fires none of the source's
//! triggers, nor does one on another parent of a table below it. So row triggers on each table with rows of the source
//! capture it if it has a parent, if a table below has a parent outside of it, if the query reads the table of a
//! row, or a stored generated column that transition tables may lack ([`inherit::hides_generated`]).

use pgrx::pg_sys;

use super::buffer;
use super::source::members;
use crate::config::{TriggerMode, cdc_trigger_mode};
use crate::error::Result;
use crate::pg::capture_trigger::{self, CAPTURE, EACH};
use crate::pg::depend;
use crate::pg::inherit;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;

const LOCK: LockMode = LockMode::AccessShare;

/// Whether there is a buffer for a table, and made for it.
pub fn is_captured(source: pg_sys::Oid) -> Result<bool> {
    Ok(buffer::find(source)?.is_some_and(|found| depend::belongs_to(found, source)))
}

/// The captured sources that have the rows of a table: itself, and tables above it.
pub fn sources_of(table: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    let mut sources = Vec::new();
    for above in inherit::lineage(table) {
        if is_captured(above)? {
            sources.push(above);
        }
    }
    Ok(sources)
}

/// Those of them that row triggers capture.
pub fn sources_by_rows(table: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    let mut sources = sources_of(table)?;
    sources.retain(|source| tells_by_rows(*source));
    Ok(sources)
}

/// Whether row triggers capture a source. A table without a parent has them only for itself, and a table
/// with a parent is captured only by them.
pub fn tells_by_rows(source: pg_sys::Oid) -> bool {
    Relation::try_open(source, LOCK)
        .is_some_and(|source| capture_trigger::calls(EACH, &source).is_some())
}

/// Whether row triggers must capture a source with a buffer.
pub fn needs_rows(source: pg_sys::Oid) -> Result<bool> {
    if is_told_by_rows(source, &[]) {
        return Ok(true);
    }
    let Some(found) = buffer::find(source)? else {
        return Ok(false);
    };
    let captured: Vec<i16> = {
        let changes = Relation::open(found, LOCK)?;
        let columns = buffer::columns(&changes);
        columns.iter().map(|(_, attnum)| *attnum).collect()
    };
    if inherit::hides_generated(source, &captured) {
        return Ok(true);
    }
    let has_table = captured.contains(&buffer::TABLE);
    let has_parts = members(source, LOCK).len() > 1 || inherit::is_partitioned(source);
    Ok(has_table && (has_parts || cdc_trigger_mode() == TriggerMode::Sql))
}

/// Whether a table below has another parent.
pub fn has_shared_child(source: pg_sys::Oid) -> bool {
    !inherit::parents_outside(source, &members(source, LockMode::None)).is_empty()
}

/// Whether row triggers must capture a source if these columns are read.
pub fn is_told_by_rows(source: pg_sys::Oid, attnums: &[i16]) -> bool {
    attnums.contains(&buffer::TABLE)
        || inherit::has_parent(source)
        || has_shared_child(source)
        || inherit::hides_generated(source, attnums)
}

/// Removes triggers from a table that no source needs there any longer.
pub fn prune(table: pg_sys::Oid) -> Result<()> {
    let root = inherit::root(table);
    if !is_captured(root)? || needs_rows(root)? {
        capture_trigger::remove_all(CAPTURE, table)?;
    }
    for source in sources_of(table)? {
        if needs_rows(source)? {
            return Ok(());
        }
    }
    capture_trigger::remove_all(EACH, table)
}

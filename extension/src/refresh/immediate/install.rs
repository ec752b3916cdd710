//! The triggers of IMMEDIATE mode: installing them on a source, and removing them.

use pgrx::pg_sys;

use crate::catalog;
use crate::cdc;
use crate::error::{Error, Result};
use crate::pg::capture_trigger::{self, IMMEDIATE};
use crate::pg::function;
use crate::pg::inherit;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::user::OwnerContext;

const FUNCTION: &str = "follow_immediately";

/// Makes what an IMMEDIATE stream table needs on a table that it reads. The changes of a stream table
/// are recorded by whatever changes it, which holds its lock.
pub fn prepare_source(source: pg_sys::Oid) -> Result<()> {
    match catalog::load_by_relid(source)? {
        Some(table) => catalog::lock(table.pgt_id),
        None => install(source),
    }
}

/// Installs triggers by which statements on the source, and on all below it, update IMMEDIATE stream tables. Writers are
/// kept out until the transaction ends.
fn install(source: pg_sys::Oid) -> Result<()> {
    let tables = cdc::keep_writers_out(source);
    if let Some(obstacle) = cdc::obstacle(source)? {
        return Err(obstacle.into());
    }
    let function = function::without_arguments("pgtrickle", FUNCTION)?
        .ok_or_else(|| Error::Internal(format!("pgtrickle.{FUNCTION}() is missing")))?;
    let _owner = OwnerContext::extension_owner()?;
    for table in &tables {
        if capture_trigger::ensure(IMMEDIATE, *table, function, function)? {
            cdc::seen::begin(IMMEDIATE, *table);
        }
    }
    // Partitions that were detached, children that no longer inherit.
    for table in capture_trigger::tables_of(function)? {
        let root = inherit::root(table);
        if !tables.contains(&table)
            && (root == source || catalog::immediate_readers_of(root)?.is_empty())
        {
            capture_trigger::remove_all(IMMEDIATE, table)?;
        }
    }
    Ok(())
}

/// Removes the triggers from a source without IMMEDIATE readers, which may itself be gone.
pub fn uninstall(source: pg_sys::Oid) -> Result<()> {
    if Relation::try_open(source, LockMode::AccessShare).is_none() {
        return Ok(());
    }
    for table in inherit::tree(source, LockMode::AccessShare) {
        let root = inherit::root(table);
        if root == source || catalog::immediate_readers_of(root)?.is_empty() {
            capture_trigger::remove_all(IMMEDIATE, table)?;
        }
    }
    Ok(())
}

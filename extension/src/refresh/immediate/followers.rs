//! Which stream tables follow a table at once, directly or through others that do; and locking them.

use std::collections::BTreeSet;

use pgrx::pg_sys;

use crate::catalog::{self, ImmediateReader, RefreshMode, Status, StreamTable};
use crate::error::Result;

/// Whether changes are applied to the stream table: not before it is filled, nor while it is suspended.
pub fn follows(table: &StreamTable) -> bool {
    table.refresh_mode == RefreshMode::Immediate
        && table.is_populated
        && table.status == Status::Active
        && table.require_home().is_ok()
}

/// The stream tables that take in the source's changes at once.
pub fn readers_of(source: pg_sys::Oid) -> Result<Vec<ImmediateReader>> {
    let mut readers = catalog::immediate_readers_of(source)?;
    readers.retain(|reader| follows(&reader.table));
    Ok(readers)
}

/// Locks all that follow the source, in the order of their ids, until the transaction ends. A stream
/// table that does not follow yet is locked as well: it may by the time that we have its lock.
pub fn lock_followers(source: pg_sys::Oid) -> Result<()> {
    let mut locked: BTreeSet<i64> = BTreeSet::new();
    loop {
        let followers = followers_of(source)?;
        if followers.is_subset(&locked) {
            return Ok(());
        }
        for id in &followers {
            catalog::lock(*id)?;
        }
        // While we waited, another may have come to read what these show.
        locked = followers;
    }
}

fn followers_of(source: pg_sys::Oid) -> Result<BTreeSet<i64>> {
    let mut followers = BTreeSet::new();
    let mut pending = vec![source];
    while let Some(source) = pending.pop() {
        for reader in catalog::immediate_readers_of(source)? {
            if followers.insert(reader.table.pgt_id) {
                pending.push(reader.table.relid);
            }
        }
    }
    Ok(followers)
}

/// The attribute numbers that one of them reads, ascending.
pub fn columns_of(readers: &[ImmediateReader]) -> Vec<i16> {
    let all: BTreeSet<i16> = readers.iter().flat_map(|r| &r.columns).copied().collect();
    all.into_iter().collect()
}

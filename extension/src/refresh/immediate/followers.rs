//! Which IMMEDIATE stream tables depend on a table, directly or through others; and locking them.

use std::collections::BTreeMap;

use pgrx::pg_sys;

use super::graph;
use super::told::told_of;
use crate::catalog::{self, RefreshMode, Status, StreamTable};
use crate::error::Result;
use crate::pg::lock::Mode;
use crate::refresh::compiled::Compiled;
use crate::refresh::plan_cache::{self, Outcome};

/// Locks all that follow the source, in the order of their ids, until the transaction ends. A stream
/// table that does not follow yet is locked as well: it may by the time that we have its lock.
pub fn lock_followers(source: pg_sys::Oid) -> Result<()> {
    let mut locked: BTreeMap<i64, Mode> = BTreeMap::new();
    loop {
        let followers = followers_of(source)?;
        let is_locked = |(id, mode): (&i64, &Mode)| locked.get(id).is_some_and(|has| has >= mode);
        if followers.iter().all(is_locked) {
            return Ok(());
        }
        for (id, mode) in &followers {
            catalog::lock_as(*id, *mode)?;
        }
        // While we waited, another may have come to read what these show.
        locked = followers;
    }
}

fn followers_of(source: pg_sys::Oid) -> Result<BTreeMap<i64, Mode>> {
    let mut followers = BTreeMap::new();
    let mut pending = vec![source];
    while let Some(source) = pending.pop() {
        for table in &graph::readers_of(source)?.all {
            if let std::collections::btree_map::Entry::Vacant(new) = followers.entry(table.pgt_id) {
                new.insert(lock_mode(table)?);
                pending.push(table.relid);
            }
        }
    }
    Ok(followers)
}

/// How the stream table is locked by a statement on what it reads. The plan cannot change while we have
/// the lock in either mode; if it has before, following will fail.
fn lock_mode(table: &StreamTable) -> Result<Mode> {
    // Its owner may not be allowed to make a plan any more. Resuming it waits for us, or we lock it again in another mode.
    if table.status != Status::Active {
        return Ok(Mode::Shared);
    }
    // If the owner lacks a privilege, the error names the stream table, since it is no fault of the writer.
    Ok(match told_of(table, || plan_cache::get(table))? {
        Outcome::Compiled(compiled) if is_followed_by_row(table, &compiled) => Mode::Shared,
        _ => Mode::Exclusive,
    })
}

/// Whether transactions follow side by side as long as they change different rows of the stream table.
pub fn is_followed_by_row(table: &StreamTable, compiled: &Compiled) -> bool {
    table.refresh_mode == RefreshMode::Immediate
        && table.defining_query_hash == Some(compiled.fingerprint)
        && compiled.independence.is_some()
}

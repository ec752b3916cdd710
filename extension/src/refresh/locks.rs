//! The locks that a refresh takes before its snapshot.

use crate::catalog::{self, RefreshMode, StreamTable};
use crate::cdc::{self, SharedDeltas};
use crate::error::{Error, Result};
use crate::parse;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::{depend, inherit};

use super::{immediate, plan_cache, two_steps};

/// Takes the locks before the snapshot, for a stream table that is refreshed at
/// the same snapshot as others, and returns what it will read.
pub fn lock_before_snapshot(pgt_id: i64, shared: &mut SharedDeltas) -> Result<()> {
    catalog::lock(pgt_id)?;
    let table = catalog::existing(pgt_id)?;
    lock_itself(&table)?;
    if table.is_in_two_steps() {
        // A job has no portal whose snapshot its statements could have.
        let _snapshot = ActiveSnapshot::push_latest();
        two_steps::pull(&table, false)?;
    }
    match table.refresh_mode {
        _ if table.is_spread() => return Ok(()),
        RefreshMode::Full => lock_query(&table)?,
        _ => match plan_cache::get(&table)? {
            plan_cache::Outcome::Compiled(compiled) => {
                compiled.lock_sources()?;
                if let Some(frontier) = &table.frontier {
                    for source in &compiled.tables {
                        shared.expect(source.oid, &source.attnums, frontier);
                    }
                }
            }
            plan_cache::Outcome::Unsupported(_) => lock_query(&table)?,
        },
    }
    immediate::lock_followers(table.relid)
}

/// Locks a stream table against being dropped or rewritten: before what it reads, as DROP TABLE does.
pub fn lock_itself(table: &StreamTable) -> Result<()> {
    // Closing it keeps the lock.
    let relation = Relation::try_open(table.relid, LockMode::AccessShare).ok_or(Error::Vanished)?;
    cdc::require_idle(&relation)
}

/// Locks the tables that the query reads, so that none is truncated or rewritten after the snapshot.
pub fn lock_query(table: &StreamTable) -> Result<()> {
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    for source in parse::analyse_view(table.view, owner, &table.settings)?.sources {
        inherit::tree(source.oid, LockMode::AccessShare);
    }
    Ok(())
}

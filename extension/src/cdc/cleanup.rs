//! Removing change rows that every consumer has consumed.
//!
//! What may be removed never depends on the reader's snapshot: a row that a consumer's *committed*
//! frontier contains will never be asked for by it again, since frontiers only advance, and a
//! refresh whose snapshot is older than the frontier fails. New consumers cannot miss rows either:
//! see [`super::install`]. Rows of transactions in progress, prepared ones included, are in no
//! frontier but their own.
//!
//! A drained buffer is truncated, if that takes no waiting and leaves nobody else waiting: outside
//! transaction blocks only, and after a fresh look under the lock. Else consumed rows are deleted,
//! a bounded number per call, and vacuum makes their space reusable.

use super::buffer;
use crate::error::Result;
use crate::frontier::Frontier;
use crate::pg::change_scan::ChangeScan;
use crate::pg::relation::Relation;
use crate::pg::removal;
use crate::pg::snapshot::LatestSnapshot;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;

/// Below this many pages a buffer is left alone: reading over the consumed rows is cheap.
const PAGES_MIN: u32 = 32;
/// At most this many rows are deleted per call.
const DELETED_ROWS_MAX: usize = 10_000;

thread_local! {
    /// Per buffer that could not be emptied: the size from which to try again.
    static NEXT_TRY: RefCell<HashMap<u32, u32>> = RefCell::default();
}

/// Whether a source's buffer has grown enough for [`cleanup`] to be worth its while.
pub fn wants_cleanup(source: pg_sys::Oid) -> Result<bool> {
    let Some(found) = buffer::find(source)? else {
        return Ok(false);
    };
    let lockmode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    let Some(changes) = Relation::try_open(found, lockmode) else {
        return Ok(false);
    };
    let next_try = NEXT_TRY.with_borrow(|next| next.get(&found.to_u32()).copied());
    Ok(changes.blocks() >= next_try.unwrap_or(PAGES_MIN))
}

/// Removes rows of the source's buffer that all of `frontiers` contain: those of *all* consumers,
/// as last committed or, for the caller's own, as just stored. A consumer without frontier rules
/// clean-up out.
pub fn cleanup(source: pg_sys::Oid, frontiers: &[Frontier]) -> Result<()> {
    let Some(found) = buffer::find(source)? else {
        return Ok(());
    };
    if frontiers.is_empty() {
        return Ok(());
    }
    let is_consumed = |xid: u64, epoch: i32| {
        frontiers
            .iter()
            .all(|frontier| frontier.consumes(xid, epoch))
    };
    if removal::may_lock_briefly()
        && is_drained(found, is_consumed)?
        && truncate(found, is_consumed)?
    {
        NEXT_TRY.with_borrow_mut(|next| next.remove(&found.to_u32()));
        return Ok(());
    }
    delete_consumed(found, is_consumed)
}

/// Whether the latest snapshot shows no row that is still wanted.
fn is_drained(found: pg_sys::Oid, is_consumed: impl Fn(u64, i32) -> bool) -> Result<bool> {
    let lockmode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    let changes = Relation::open(found, lockmode)?;
    let _latest = LatestSnapshot::push();
    let mut scan = ChangeScan::begin(&changes, 0)?;
    Ok(scan.next(|xid, epoch| !is_consumed(xid, epoch)).is_none())
}

/// Empties the buffer, if nobody else uses it and a look under the lock finds nothing wanted.
fn truncate(found: pg_sys::Oid, is_consumed: impl Fn(u64, i32) -> bool) -> Result<bool> {
    let Some(lock) = removal::try_exclusive(found) else {
        return Ok(false);
    };
    if !is_drained(found, is_consumed)? {
        lock.release();
        return Ok(false);
    }
    let changes = Relation::open(found, pg_sys::NoLock as pg_sys::LOCKMODE)?;
    if changes.reference_count() > 1 {
        lock.release();
        return Ok(false);
    }
    removal::truncate(changes);
    Ok(true)
}

fn delete_consumed(found: pg_sys::Oid, is_consumed: impl Fn(u64, i32) -> bool) -> Result<()> {
    let lockmode = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
    let changes = Relation::open(found, lockmode)?;
    let mut deleted = 0;
    {
        let _latest = LatestSnapshot::push();
        let mut scan = ChangeScan::begin(&changes, 0)?;
        while deleted < DELETED_ROWS_MAX && scan.next(&is_consumed).is_some() {
            deleted += usize::from(removal::delete(&changes, scan.tid()));
        }
    }
    // Deleted rows still take space: look again when the buffer has grown by a quarter, or at once
    // if there is more to delete.
    let blocks = changes.blocks();
    let next_try = if deleted == DELETED_ROWS_MAX {
        PAGES_MIN
    } else {
        blocks + (blocks / 4).max(PAGES_MIN)
    };
    NEXT_TRY.with_borrow_mut(|next| next.insert(found.to_u32(), next_try));
    Ok(())
}

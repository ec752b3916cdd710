//! Removing change rows that every consumer has consumed.
//!
//! What may be removed never depends on the reader's snapshot: a consumer never reads again a row that its
//! *committed* frontier contains, since frontiers only advance, and a
//! refresh whose snapshot is older than the frontier fails. New consumers cannot miss rows either:
//! see [`super::install`]. Rows of transactions in progress, including prepared ones, are in no
//! frontier but their own.
//!
//! A drained buffer is truncated if neither it nor others have to wait: only outside
//! transaction blocks, and after a second check under the lock, of the pages that have changed since the first, or of none
//! where the snapshot alone shows that nothing is left. Otherwise consumed rows of a large buffer are
//! deleted, a bounded number per call, and vacuum makes their space reusable. A small one waits for its
//! slowest reader, which is usually in this round: skipping pages costs less than deleting rows.

use super::buffer;
use crate::error::Result;
use crate::frontier::{Frontier, epoch, of_active_snapshot};
use crate::pg::change_pages::{INDEXED_PAGES, Looks, estimate_rows, first_page};
use crate::pg::change_scan::ChangeScan;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::removal;
use crate::pg::snapshot::ActiveSnapshot;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;

/// Below this many pages a buffer is left alone: reading over the consumed rows is cheap.
const PAGES_MIN: u32 = 32;
/// At most this many rows are deleted per call.
const DELETED_ROWS_MAX: usize = 10_000;

/// When to look again at a buffer that could not be emptied: when it has grown to so many pages, or
/// when the slowest consumer has moved on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NextTry {
    pages: u32,
    slowest: u64,
}

thread_local! {
    static NEXT_TRY: RefCell<HashMap<u32, NextTry>> = RefCell::default();
}

/// Whether a source's buffer has grown enough for [`cleanup`] to be considered.
pub fn wants_cleanup(source: pg_sys::Oid) -> Result<bool> {
    let Some(found) = buffer::find(source)? else {
        return Ok(false);
    };
    let changes = Relation::try_open(found, LockMode::AccessShare);
    Ok(changes.is_some_and(|changes| changes.blocks() >= PAGES_MIN))
}

/// Removes rows of the source's buffer that all of `frontiers` contain: those of *all* consumers,
/// as last committed or, for the caller's own, as just stored. A consumer without frontier rules
/// clean-up out.
pub fn cleanup(source: pg_sys::Oid, frontiers: &[Frontier]) -> Result<()> {
    let (Some(found), Some(slowest)) = (
        buffer::find(source)?,
        frontiers.iter().map(Frontier::first_unconsumed).min(),
    ) else {
        return Ok(());
    };
    let is_consumed = |xid: u64, epoch: i32| {
        frontiers
            .iter()
            .all(|frontier| frontier.consumes(xid, epoch))
    };
    let pages = Relation::open(found, LockMode::RowExclusive)?.blocks();
    let next_try = NEXT_TRY.with_borrow(|next| next.get(&found.to_u32()).copied());
    if next_try.is_some_and(|next| pages < next.pages && slowest == next.slowest) {
        return Ok(());
    }
    let mut looks = Looks::default();
    let mut is_drained = || is_drained(found, slowest, is_consumed, &mut looks);
    let mut is_contained = || Ok(is_contained(found, frontiers));
    if removal::may_lock_briefly()
        && (is_contained()? && truncate(found, &mut is_contained)?
            || is_drained()? && truncate(found, &mut is_drained)?)
    {
        NEXT_TRY.with_borrow_mut(|next| next.remove(&found.to_u32()));
        return Ok(());
    }
    let more = pages >= INDEXED_PAGES && delete_consumed(found, is_consumed)?;
    let next = NextTry {
        pages: if more {
            0
        } else {
            pages + (pages / 4).max(PAGES_MIN)
        },
        slowest,
    };
    NEXT_TRY.with_borrow_mut(|tries| tries.insert(found.to_u32(), next));
    Ok(())
}

/// Whether the latest snapshot shows no row that is still wanted. All below `slowest` are consumed. As a rule the ids on
/// the pages tell that, and no row has to be asked whether it is visible. Pages that are as they were at an earlier look
/// are passed over.
fn is_drained(
    found: pg_sys::Oid,
    slowest: u64,
    is_consumed: impl Fn(u64, i32) -> bool,
    looks: &mut Looks,
) -> Result<bool> {
    let changes = Relation::open(found, LockMode::AccessShare)?;
    let _latest = ActiveSnapshot::push_latest();
    let is_wanted = |xid: u64, epoch: i32| !is_consumed(xid, epoch);
    let Some(first) = first_page(&changes, slowest, &is_wanted, looks)? else {
        return Ok(true);
    };
    let mut scan = ChangeScan::from_page(&changes, first);
    Ok(scan.next(is_wanted).is_none())
}

/// Whether the frontiers contain whatever the latest snapshot shows, so that no page has to tell: they are of this
/// transaction, which has not written to the buffer, and no other has ended since.
fn is_contained(found: pg_sys::Oid, frontiers: &[Frontier]) -> bool {
    let _latest = ActiveSnapshot::push_latest();
    let latest = of_active_snapshot();
    let contains = |frontier: &Frontier| {
        frontier.own_xid() == latest.own_xid() && latest.is_visible_in(frontier)
    };
    !epoch::has_change(found) && frontiers.iter().all(contains)
}

/// Empties the buffer, if it is not in use and there is no change under the lock that is still needed.
fn truncate(found: pg_sys::Oid, is_drained: &mut dyn FnMut() -> Result<bool>) -> Result<bool> {
    let Some(lock) = removal::try_exclusive(found) else {
        return Ok(false);
    };
    if !is_drained()? {
        lock.release();
        return Ok(false);
    }
    let changes = Relation::open(found, LockMode::None)?;
    if changes.reference_count() > 1 {
        lock.release();
        return Ok(false);
    }
    removal::truncate(changes);
    Ok(true)
}

/// Deletes consumed rows; whether there may be more. It does not pay where they are so few that a look at some of the
/// pages does not find one.
fn delete_consumed(found: pg_sys::Oid, is_consumed: impl Fn(u64, i32) -> bool) -> Result<bool> {
    let changes = Relation::open(found, LockMode::RowExclusive)?;
    let _latest = ActiveSnapshot::push_latest();
    if estimate_rows(&changes, 0, &is_consumed)? == 0 {
        return Ok(false);
    }
    let mut scan = ChangeScan::begin(&changes, 0)?;
    let mut deleted = 0;
    while deleted < DELETED_ROWS_MAX && scan.next(&is_consumed).is_some() {
        deleted += usize::from(removal::delete(&changes, scan.tid()));
    }
    drop(scan);
    removal::summarise(&changes)?;
    Ok(deleted == DELETED_ROWS_MAX)
}

//! Reading a source's delta: the change rows that the active snapshot shows and a frontier has not
//! consumed, consolidated.

use super::buffer::{self, WEIGHT};
use super::consolidation::{Consolidation, SourceDelta};
use crate::error::{CaptureError, Result};
use crate::frontier::Frontier;
use crate::pg::change_pages;
use crate::pg::change_scan::ChangeScan;
use crate::pg::relation::Relation;
use crate::pg::tupdesc::attributes;
use pgrx::pg_sys;
use std::cell::LazyCell;

/// Up to so many pages hold no more than some hundred change rows.
const FEW_PAGES: u32 = 3;

/// How many change rows of `source` the present snapshot shows and the frontier has not consumed, as far as
/// the ids of their transactions tell: those of aborted ones count as well. 0 if the buffer has but
/// [`FEW_PAGES`].
pub fn pending_rows(
    source: pg_sys::Oid,
    frontier: &Frontier,
    present: &LazyCell<Frontier>,
) -> Result<u64> {
    let lockmode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    let found = buffer::find(source)?;
    let Some(changes) = found.and_then(|found| Relation::try_open(found, lockmode)) else {
        return Ok(0);
    };
    if changes.blocks() <= FEW_PAGES {
        return Ok(0);
    }
    let present: &Frontier = present;
    let wanted = |xid: u64, epoch: i32| !frontier.consumes(xid, epoch) && present.sees(xid);
    change_pages::count_rows(&changes, frontier.first_unconsumed(), &wanted)
}

/// Reads the changes of `source` in the columns `attnums` that `frontier` has not consumed. The
/// result lives in `context`. The buffer stays locked against removal until the transaction ends.
pub fn read_delta(
    source: pg_sys::Oid,
    attnums: &[i16],
    frontier: &Frontier,
    context: pg_sys::MemoryContext,
) -> Result<SourceDelta> {
    let lockmode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    let not_captured = || CaptureError::NotCaptured(source.to_u32().to_string());
    let found = buffer::find(source)?.ok_or_else(not_captured)?;
    let changes = Relation::try_open(found, lockmode).ok_or_else(not_captured)?;
    let positions = buffer::positions(&changes, attnums)?;
    let columns = attributes(changes.tuple_desc());
    let mut delta = Consolidation::new(columns, &positions, context)?;
    if changes.blocks() > 0 {
        let mut scan = ChangeScan::begin(&changes, frontier.first_unconsumed())?;
        while let Some((values, nulls)) = scan.next(|xid, epoch| !frontier.consumes(xid, epoch)) {
            let Some(weight) = values.get(WEIGHT) else {
                break;
            };
            if !delta.add(values, nulls, weight.value() as i32) {
                break;
            }
        }
    }
    Ok(delta.finish())
}

//! Reading a source's delta: the change rows that the active snapshot shows and a frontier has not
//! consumed, consolidated.

use super::buffer::{self, WEIGHT};
use super::consolidation::{Consolidation, SourceDelta};
use crate::error::{CaptureError, Result};
use crate::frontier::Frontier;
use crate::pg::change_pages;
use crate::pg::change_scan::ChangeScan;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::tupdesc::attributes;
use pgrx::pg_sys;
use std::cell::LazyCell;

/// Up to so many pages hold no more than some hundred change rows.
const FEW_PAGES: u32 = 3;

/// About how many change rows of `source` the current snapshot shows and the frontier has not consumed, as far as
/// the ids of their transactions tell: those of aborted ones count as well. 0 if the buffer has but
/// [`FEW_PAGES`]. `exactly`: however large it is.
pub fn pending_rows(
    source: pg_sys::Oid,
    frontier: &Frontier,
    present: &LazyCell<Frontier>,
    exactly: bool,
) -> Result<u64> {
    let found = buffer::find(source)?;
    let Some(changes) = found.and_then(|found| Relation::try_open(found, LockMode::AccessShare))
    else {
        return Ok(0);
    };
    if changes.blocks() <= FEW_PAGES {
        return Ok(0);
    }
    let present: &Frontier = present;
    let wanted = |xid: u64, epoch: i32| !frontier.consumes(xid, epoch) && present.sees(xid);
    let first = frontier.first_unconsumed();
    match exactly {
        true => change_pages::count_rows(&changes, first, &wanted),
        false => change_pages::estimate_rows(&changes, first, &wanted),
    }
}

/// Reads the changes of `source` in the columns `attnums` that `frontier` has not consumed. The
/// result lives in `context`. The buffer stays locked against removal until the transaction ends.
pub fn read_delta(
    source: pg_sys::Oid,
    attnums: &[i16],
    frontier: &Frontier,
    context: pg_sys::MemoryContext,
) -> Result<SourceDelta> {
    let reading = Reading {
        source,
        attnums,
        frontier,
        first: frontier.first_unconsumed(),
    };
    reading.read(
        |columns, positions| Consolidation::new(columns, positions, context),
        |_, _| (),
    )
}

/// What is to be read of a buffer.
pub(super) struct Reading<'a> {
    /// Whose changes.
    pub source: pg_sys::Oid,
    /// In which columns.
    pub attnums: &'a [i16],
    /// Those that it has not consumed.
    pub frontier: &'a Frontier,
    /// Rows of transactions before this one need not be met.
    pub first: u64,
}

impl Reading<'_> {
    /// Reads it into the delta that `begin` makes of the buffer's columns and the positions of the wanted ones.
    /// Shows `meet` xid and epoch of each row on the way, consumed or not; it must not panic.
    pub fn read(
        &self,
        begin: impl FnOnce(&[pg_sys::FormData_pg_attribute], &[usize]) -> Result<Consolidation>,
        meet: impl Fn(u64, i32),
    ) -> Result<SourceDelta> {
        let not_captured = || CaptureError::NotCaptured(self.source.to_u32().to_string());
        let found = buffer::find(self.source)?.ok_or_else(not_captured)?;
        let changes = Relation::try_open(found, LockMode::AccessShare).ok_or_else(not_captured)?;
        let positions = buffer::positions(&changes, self.attnums)?;
        let mut delta = begin(attributes(changes.tuple_desc()), &positions)?;
        if changes.blocks() > 0 {
            let mut scan = ChangeScan::begin(&changes, self.first)?;
            let wanted = |xid: u64, epoch: i32| {
                meet(xid, epoch);
                !self.frontier.consumes(xid, epoch)
            };
            while let Some(row) = scan.next(wanted) {
                let Some((weight, _)) = row.get(WEIGHT) else {
                    break;
                };
                if !delta.add(row, weight.value() as i32) {
                    break;
                }
            }
        }
        Ok(delta.finish())
    }
}

//! Scanning a change buffer under the active snapshot, without executor and plan. Pages with only
//! consumed rows are skipped, so rows kept for one slow consumer do not slow down the
//! others' refreshes.

use super::change_pages::{Candidates, candidates};
use super::place::tid;
use super::relation::Relation;
use super::row::Row;
use super::slot::Slot;
use super::table_scan::TableScan;
use super::version::table_scan;
use super::{is_aborting, unguarded};
use crate::error::Result;
use pgrx::pg_sys;
use std::cell::Cell;
use std::ops::Range;

/// A scan of change rows; their first three columns are xid, epoch and weight.
#[derive(Debug)]
pub struct ChangeScan<'a> {
    table: &'a Relation,
    slot: Slot,
    scan: pg_sys::TableScanDesc,
    /// What is still to be looked at; `None` in a scan of everything.
    left: Option<Candidates>,
    width: usize,
}

impl<'a> ChangeScan<'a> {
    /// Scans all rows whose xid may be at least `first_xid`.
    pub fn begin(table: &'a Relation, first_xid: u64) -> Result<Self> {
        let left = match first_xid {
            0 => None,
            _ => Some(candidates(table, first_xid)?),
        };
        Ok(Self::over(table, left))
    }

    /// Scans all rows from this page on.
    pub fn from_page(table: &'a Relation, page: u32) -> Self {
        let rest = page..table.blocks();
        Self::over(table, Some(Candidates::Pages(vec![rest])))
    }

    fn over(table: &'a Relation, left: Option<Candidates>) -> Self {
        // SAFETY: the table is open; the slot is dropped before it is closed.
        let slot = unsafe {
            Slot::adopt(pg_sys::table_slot_create(
                table.as_ptr(),
                std::ptr::null_mut(),
            ))
        };
        // SAFETY: as above.
        let width = unsafe { (*table.tuple_desc()).natts as usize };
        let mut this = ChangeScan {
            table,
            slot,
            scan: std::ptr::null_mut(),
            left,
            width,
        };
        if this.left.is_none() {
            // SAFETY: the active snapshot outlives the scan.
            this.scan = unsafe { table_scan::begin(table.as_ptr(), pg_sys::GetActiveSnapshot()) };
        }
        this
    }

    /// The next row that `wanted` says yes to by its xid and epoch. `wanted` must not panic.
    pub fn next(&mut self, wanted: impl Fn(u64, i32) -> bool) -> Option<Row<'_>> {
        while !self.seek(&wanted) {
            match self.left.as_mut()? {
                Candidates::Rows(rows) => {
                    let at = rows.pop()?;
                    if TableScan::fetch(self.table, at, &mut self.slot) && self.is(&wanted) {
                        break;
                    }
                }
                Candidates::Pages(ranges) => {
                    let range = ranges.pop()?;
                    self.end();
                    self.scan_range(&range);
                }
            }
        }
        // SAFETY: the slot holds a row, all of whose columns are filled.
        unsafe {
            let slot = self.slot.as_ptr();
            Some(Row {
                values: std::slice::from_raw_parts((*slot).tts_values, self.width),
                nulls: std::slice::from_raw_parts((*slot).tts_isnull, self.width),
            })
        }
    }

    /// Moves the scan, if there is one, to the next row that `wanted` says yes to.
    fn seek(&mut self, wanted: &impl Fn(u64, i32) -> bool) -> bool {
        if self.scan.is_null() {
            return false;
        }
        let (by_range, slot) = (self.left.is_some(), self.slot.as_ptr());
        // SAFETY: scan and slot belong to the table; numbers and raw pointers only.
        unsafe { unguarded::guarded(|| seek(self.scan, by_range, slot, self.width, wanted)) }
    }

    /// Whether `wanted` says yes to the fetched row.
    fn is(&mut self, wanted: &impl Fn(u64, i32) -> bool) -> bool {
        match self.slot.row().values {
            [xid, epoch, ..] => wanted(xid.value() as u64, epoch.value() as i32),
            _ => false,
        }
    }

    /// The xid and epoch of the next row.
    pub fn next_id(&mut self) -> Option<(u64, i32)> {
        let id = Cell::new((0, 0));
        self.next(|xid, epoch| {
            id.set((xid, epoch));
            true
        })
        .map(|_| id.get())
    }

    /// Where the row that `next` returned is stored.
    pub fn tid(&self) -> pg_sys::ItemPointerData {
        self.slot.tid()
    }

    fn scan_range(&mut self, range: &Range<u32>) {
        let (mut first, mut last) = (tid(range.start, 1), tid(range.end - 1, u16::MAX));
        // SAFETY: the active snapshot outlives the scan; the bounds are copied.
        self.scan = unsafe {
            table_scan::begin_range(
                self.table.as_ptr(),
                pg_sys::GetActiveSnapshot(),
                &mut first,
                &mut last,
            )
        };
    }

    fn end(&mut self) {
        if !self.scan.is_null() {
            // SAFETY: begun once, ended once.
            unsafe { pg_sys::table_endscan(self.scan) };
            self.scan = std::ptr::null_mut();
        }
    }
}

impl Drop for ChangeScan<'_> {
    fn drop(&mut self) {
        if !is_aborting() {
            self.slot.clear();
            self.end();
        }
    }
}

/// Moves the scan to the next row that `wanted` says yes to, and fills the slot's columns.
///
/// # Safety
/// Called within [`unguarded::guarded`]. Scan and slot belong to the same table, whose first two columns
/// are NOT NULL.
unsafe fn seek(
    scan: pg_sys::TableScanDesc,
    by_range: bool,
    slot: *mut pg_sys::TupleTableSlot,
    width: usize,
    wanted: &impl Fn(u64, i32) -> bool,
) -> bool {
    let forward = pg_sys::ScanDirection::ForwardScanDirection;
    // SAFETY: per contract; a scan over a range of pages has its own way to the next row.
    unsafe {
        let methods = (*(*scan).rs_rd).rd_tableam;
        let next = match by_range {
            false => (*methods).scan_getnextslot,
            true => (*methods).scan_getnextslot_tidrange,
        };
        let Some(next) = next else { return false };
        loop {
            unguarded::check_for_interrupts();
            if !next(scan, forward, slot) {
                return false;
            }
            unguarded::slot_getsomeattrs_int(slot, 2);
            let values = (*slot).tts_values;
            if wanted((*values).value() as u64, (*values.add(1)).value() as i32) {
                unguarded::slot_getsomeattrs_int(slot, width as i32);
                return true;
            }
        }
    }
}

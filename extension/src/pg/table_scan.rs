//! Reading a table without the executor.

use std::ptr;

use pgrx::pg_sys;

use super::is_aborting;
use super::relation::Relation;
use super::slot::Slot;
use super::version;

/// A sequential scan under the active snapshot.
#[derive(Debug)]
pub struct TableScan {
    scan: pg_sys::TableScanDesc,
    slot: Slot,
}

impl TableScan {
    /// Begins a scan. The table must stay open until it is dropped.
    pub fn begin(table: &Relation) -> Self {
        // SAFETY: the table is open and locked, the active snapshot outlives the scan.
        let scan =
            unsafe { version::table_scan::begin(table.as_ptr(), pg_sys::GetActiveSnapshot()) };
        TableScan {
            scan,
            slot: Self::row_slot(table),
        }
    }

    /// The next row. The slot holds it until the next call.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<&mut Slot> {
        pgrx::check_for_interrupts!();
        // SAFETY: scan and slot belong to the same table.
        let found = unsafe {
            pg_sys::table_scan_getnextslot(
                self.scan,
                pg_sys::ScanDirection::ForwardScanDirection,
                self.slot.as_ptr(),
            )
        };
        found.then_some(&mut self.slot)
    }

    /// A slot for rows of the table.
    pub fn row_slot(table: &Relation) -> Slot {
        // SAFETY: the table is open.
        unsafe { Slot::adopt(pg_sys::table_slot_create(table.as_ptr(), ptr::null_mut())) }
    }

    /// The first visible row of the table.
    pub fn first_row(table: &Relation) -> Option<Slot> {
        let mut scan = Self::begin(table);
        let tid = scan.next().map(|row| row.tid())?;
        drop(scan);
        let mut slot = Self::row_slot(table);
        Self::fetch(table, tid, &mut slot).then_some(slot)
    }

    /// Fetches the row at `tid` if it is visible.
    pub fn fetch(table: &Relation, mut tid: pg_sys::ItemPointerData, slot: &mut Slot) -> bool {
        // SAFETY: the slot was made for this table.
        unsafe {
            pg_sys::table_tuple_fetch_row_version(
                table.as_ptr(),
                &mut tid,
                pg_sys::GetActiveSnapshot(),
                slot.as_ptr(),
            )
        }
    }
}

impl Drop for TableScan {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: begun by begin, ended once.
            unsafe { pg_sys::table_endscan(self.scan) };
        }
    }
}

//! Scans of tables: 19 can be told what the scan is for.

use pgrx::pg_sys;

/// Begins a scan of all rows.
///
/// # Safety
/// The table is open, and the snapshot registered, for as long as the scan.
pub unsafe fn begin(table: pg_sys::Relation, snapshot: pg_sys::Snapshot) -> pg_sys::TableScanDesc {
    let keys = std::ptr::null_mut();
    // SAFETY: per contract.
    unsafe {
        #[cfg(not(feature = "pg19"))]
        let scan = pg_sys::table_beginscan(table, snapshot, 0, keys);
        #[cfg(feature = "pg19")]
        let scan = pg_sys::table_beginscan(table, snapshot, 0, keys, 0);
        scan
    }
}

/// Begins a scan of the rows between two places.
///
/// # Safety
/// As for [`begin`].
pub unsafe fn begin_range(
    table: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    first: &mut pg_sys::ItemPointerData,
    last: &mut pg_sys::ItemPointerData,
) -> pg_sys::TableScanDesc {
    // SAFETY: per contract; the bounds are copied.
    unsafe {
        #[cfg(not(feature = "pg19"))]
        let scan = pg_sys::table_beginscan_tidrange(table, snapshot, first, last);
        #[cfg(feature = "pg19")]
        let scan = pg_sys::table_beginscan_tidrange(table, snapshot, first, last, 0);
        scan
    }
}

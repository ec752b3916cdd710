//! Scans of indexes: what 18 measures on the way, and what 19 may leave out.

use pgrx::pg_sys;

/// Begins a scan of an index for rows of its table, by so many keys.
///
/// # Safety
/// Both are open, and the snapshot registered, for as long as the scan.
pub unsafe fn begin(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    keys: i32,
) -> pg_sys::IndexScanDesc {
    // SAFETY: per contract.
    unsafe {
        #[cfg(feature = "pg17")]
        let scan = pg_sys::index_beginscan(table, index, snapshot, keys, 0);
        #[cfg(feature = "pg18")]
        let scan = pg_sys::index_beginscan(table, index, snapshot, std::ptr::null_mut(), keys, 0);
        #[cfg(feature = "pg19")]
        let scan =
            pg_sys::index_beginscan(table, index, snapshot, std::ptr::null_mut(), keys, 0, 0);
        scan
    }
}

//! Tables whose rows the transaction's snapshot can no longer show.

use std::ffi::c_void;

use pgrx::pg_sys;

use super::catalog_scan;

/// The index of `pg_class` over its OIDs, and their column.
const CLASS_BY_OID: pg_sys::Oid = pg_sys::Oid::from_u32(2662);
const CLASS_OID: u32 = 1;

/// Whether a table has been emptied or rewritten since the active snapshot was taken: its rows are in another file
/// than they were then. Such a snapshot shows nothing of it, or all of it, whatever there was.
pub fn since_snapshot(table: pg_sys::Oid) -> bool {
    let file_of = |snapshot: pg_sys::Snapshot| {
        let mut file = None;
        let keys = [catalog_scan::oid_key(CLASS_OID, table)];
        let mut visit = |row: *const c_void| {
            // SAFETY: a row of pg_class.
            file = Some(unsafe { (*row.cast::<pg_sys::FormData_pg_class>()).relfilenode });
            false
        };
        let class = pg_sys::RelationRelationId;
        catalog_scan::each_at(snapshot, class, CLASS_BY_OID, &keys, &mut visit);
        file
    };
    // SAFETY: reads a variable of the server; the snapshot outlives the scan.
    file_of(unsafe { pg_sys::GetActiveSnapshot() }) != file_of(std::ptr::null_mut())
}

//! Deleting a row of a heap: 19 takes options, before 19 a flag for moves between partitions.

use pgrx::pg_sys;

/// Deletes the row at `tid` as the current command, without waiting for others.
///
/// # Safety
/// The table is open and locked for writing.
pub unsafe fn delete_now(
    table: pg_sys::Relation,
    tid: &mut pg_sys::ItemPointerData,
) -> pg_sys::TM_Result::Type {
    let mut failure = pg_sys::TM_FailureData::default();
    let no_crosscheck = std::ptr::null_mut();
    // SAFETY: per contract.
    unsafe {
        let command = pg_sys::GetCurrentCommandId(true);
        #[cfg(not(feature = "pg19"))]
        let result = pg_sys::heap_delete(
            table,
            tid,
            command,
            no_crosscheck,
            false,
            &mut failure,
            false,
        );
        #[cfg(feature = "pg19")]
        let result =
            pg_sys::heap_delete(table, tid, command, 0, no_crosscheck, false, &mut failure);
        result
    }
}

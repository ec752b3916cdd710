//! Writing rows: 18 tells MERGE apart in triggers before rows, 19 takes flags for what is entered in indexes.

use std::ptr;

use pgrx::pg_sys;

/// Fires the triggers before the update of a row; false if one of them leaves it out.
///
/// # Safety
/// The state of a writer; the slot holds a row of its table.
pub unsafe fn before_update(
    estate: *mut pg_sys::EState,
    epq: *mut pg_sys::EPQState,
    target: *mut pg_sys::ResultRelInfo,
    tid: *mut pg_sys::ItemPointerData,
    row: *mut pg_sys::TupleTableSlot,
) -> bool {
    let (tuple, result, failure) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: per contract.
    unsafe {
        #[cfg(feature = "pg17")]
        return pg_sys::ExecBRUpdateTriggers(estate, epq, target, tid, tuple, row, result, failure);
        #[cfg(not(feature = "pg17"))]
        pg_sys::ExecBRUpdateTriggers(estate, epq, target, tid, tuple, row, result, failure, false)
    }
}

/// Fires the triggers before the deletion of a row; false if one of them keeps it.
///
/// # Safety
/// The state of a writer.
pub unsafe fn before_delete(
    estate: *mut pg_sys::EState,
    epq: *mut pg_sys::EPQState,
    target: *mut pg_sys::ResultRelInfo,
    tid: *mut pg_sys::ItemPointerData,
) -> bool {
    let (tuple, slot) = (ptr::null_mut(), ptr::null_mut());
    let (result, failure) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: per contract.
    unsafe {
        #[cfg(feature = "pg17")]
        return pg_sys::ExecBRDeleteTriggers(
            estate, epq, target, tid, tuple, slot, result, failure,
        );
        #[cfg(not(feature = "pg17"))]
        pg_sys::ExecBRDeleteTriggers(
            estate, epq, target, tid, tuple, slot, result, failure, false,
        )
    }
}

/// Enters a row in the indexes, none of which complains of a duplicate. Returns those where there may be one, and
/// whether one of them is to be checked at once.
///
/// # Safety
/// The state of a writer with open indexes; the slot holds a row of its table, with its place.
pub unsafe fn enter_in_indexes(
    estate: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    row: *mut pg_sys::TupleTableSlot,
    is_update: bool,
    only_summarizing: bool,
) -> (*mut pg_sys::List, bool) {
    let mut conflicts = false;
    let arbiters = ptr::null_mut();
    // SAFETY: per contract.
    let doubtful = unsafe {
        #[cfg(feature = "pg19")]
        {
            let mut flags = pg_sys::EIIT_NO_DUPE_ERROR;
            if is_update {
                flags |= pg_sys::EIIT_IS_UPDATE;
            }
            if only_summarizing {
                flags |= pg_sys::EIIT_ONLY_SUMMARIZING;
            }
            pg_sys::ExecInsertIndexTuples(target, estate, flags, row, arbiters, &mut conflicts)
        }
        #[cfg(not(feature = "pg19"))]
        pg_sys::ExecInsertIndexTuples(
            target,
            row,
            estate,
            is_update,
            true,
            &mut conflicts,
            arbiters,
            only_summarizing,
        )
    };
    (doubtful, conflicts)
}

/// Enters a row in the indexes, of which each complains of a duplicate.
///
/// # Safety
/// As [`enter_in_indexes`].
pub unsafe fn enter_in_strict_indexes(
    estate: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    row: *mut pg_sys::TupleTableSlot,
) {
    let (none, arbiters) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: per contract.
    unsafe {
        #[cfg(feature = "pg19")]
        pg_sys::ExecInsertIndexTuples(target, estate, 0, row, arbiters, none);
        #[cfg(not(feature = "pg19"))]
        pg_sys::ExecInsertIndexTuples(target, row, estate, false, false, none, arbiters, false);
    }
}

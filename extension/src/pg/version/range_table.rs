//! Range tables: 18 has RETURNING OLD and NEW, and prunes partitions when a plan starts.

use pgrx::pg_sys;

/// Appends a variable for each column of the entry to the list, as those of the only item of a query.
///
/// # Safety
/// A valid entry.
pub unsafe fn expand(entry: *mut pg_sys::RangeTblEntry) -> *mut pg_sys::List {
    let mut variables = std::ptr::null_mut();
    let names = std::ptr::null_mut();
    // SAFETY: per contract; names are not asked for.
    unsafe {
        #[cfg(feature = "pg17")]
        pg_sys::expandRTE(entry, 1, 0, -1, false, names, &raw mut variables);
        #[cfg(not(feature = "pg17"))]
        pg_sys::expandRTE(
            entry,
            1,
            0,
            pg_sys::VarReturningType::VAR_RETURNING_DEFAULT,
            -1,
            false,
            names,
            &raw mut variables,
        );
    }
    variables
}

/// Gives an executor a range table of one entry.
///
/// # Safety
/// A fresh executor, in whose memory context the lists are.
pub unsafe fn init(
    estate: *mut pg_sys::EState,
    entries: *mut pg_sys::List,
    permissions: *mut pg_sys::List,
) {
    // SAFETY: per contract.
    unsafe {
        #[cfg(feature = "pg17")]
        pg_sys::ExecInitRangeTable(estate, entries, permissions);
        #[cfg(not(feature = "pg17"))]
        pg_sys::ExecInitRangeTable(estate, entries, permissions, pg_sys::bms_make_singleton(1));
    }
}

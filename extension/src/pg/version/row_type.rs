//! Row types of our own: 19 wants to be told that one is complete before it is used.

use pgrx::pg_sys;

/// Says that all columns are there.
///
/// # Safety
/// They are.
pub unsafe fn complete(desc: pg_sys::TupleDesc) {
    // SAFETY: per contract.
    #[cfg(feature = "pg19")]
    unsafe {
        pg_sys::TupleDescFinalize(desc);
    }
    #[cfg(not(feature = "pg19"))]
    let _ = desc;
}

//! The planner: settings that not every version has, and its call.

use pgrx::pg_sys;

/// Those that a refresh turns off. Aggregating below a join, as 19 does, adds up floats in another order, so that a sum
/// that is recomputed would differ from one that was computed at once in its last digits.
#[cfg(feature = "pg19")]
pub const OFF: &[&std::ffi::CStr] = &[c"enable_eager_aggregate"];
/// Those that a refresh turns off.
#[cfg(not(feature = "pg19"))]
pub const OFF: &[&std::ffi::CStr] = &[];

/// Plans a rewritten query.
///
/// # Safety
/// `query` is the server's, and `source` outlives the call.
pub unsafe fn plan(
    query: *mut pg_sys::Query,
    source: *const std::ffi::c_char,
    options: i32,
) -> *mut pg_sys::PlannedStmt {
    let nothing = std::ptr::null_mut();
    // SAFETY: per contract; no parameters.
    #[cfg(not(feature = "pg19"))]
    return unsafe { pg_sys::pg_plan_query(query, source, options, nothing) };
    // SAFETY: per contract; no parameters, and nothing explains.
    #[cfg(feature = "pg19")]
    return unsafe { pg_sys::pg_plan_query(query, source, options, nothing, std::ptr::null_mut()) };
}

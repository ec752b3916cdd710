//! The range table entry of grouping columns, through which expressions have referred to them since 18.

use pgrx::pg_sys;

use crate::pg::node::NodeOf;

/// The expression with references to grouping columns replaced by what they stand for.
///
/// # Safety
/// An expression of this query.
pub unsafe fn flatten(query: NodeOf<pg_sys::Query>, expr: *mut pg_sys::Node) -> *mut pg_sys::Node {
    #[cfg(feature = "pg17")]
    {
        let _ = query;
        expr
    }
    // SAFETY: per contract; the function works on a copy.
    #[cfg(not(feature = "pg17"))]
    unsafe {
        if query.hasGroupRTE {
            pg_sys::flatten_group_exprs(std::ptr::null_mut(), query.as_ptr(), expr)
        } else {
            expr
        }
    }
}

//! Virtual generated columns, which 18 brought.

use pgrx::pg_sys;

/// Whether the relation has any.
///
/// # Safety
/// It is open.
pub unsafe fn has_virtual(relation: pg_sys::Relation) -> bool {
    #[cfg(feature = "pg17")]
    {
        let _ = relation;
        false
    }
    // SAFETY: per contract.
    #[cfg(not(feature = "pg17"))]
    unsafe {
        let constraints = (*(*relation).rd_att).constr;
        !constraints.is_null() && (*constraints).has_generated_virtual
    }
}

/// The expression with those of the item replaced by their expressions.
///
/// # Safety
/// A valid expression; the relation is open and is the item of the query.
pub unsafe fn expand(
    expr: *mut pg_sys::Node,
    relation: pg_sys::Relation,
    item: i32,
) -> *mut pg_sys::Node {
    #[cfg(feature = "pg17")]
    {
        let _ = (relation, item);
        expr
    }
    // SAFETY: per contract.
    #[cfg(not(feature = "pg17"))]
    unsafe {
        pg_sys::expand_generated_columns_in_expr(expr, relation, item)
    }
}

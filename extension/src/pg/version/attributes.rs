//! Columns of row types: one array before 18, and an array behind a shorter one since.

use pgrx::pg_sys;

/// The first column of a row type that has one. The others follow it.
///
/// # Safety
/// `desc` is valid and has columns.
pub unsafe fn first(desc: pg_sys::TupleDesc) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: per contract.
    #[cfg(feature = "pg17")]
    unsafe {
        (*desc).attrs.as_ptr()
    }
    // SAFETY: per contract.
    #[cfg(not(feature = "pg17"))]
    unsafe {
        pg_sys::TupleDescAttr(desc, 0)
    }
}

/// Whether a NOT NULL constraint of the column was checked against all rows: since 18 there are `NOT VALID` ones.
///
/// # Safety
/// The row type of an open relation that has so many columns.
pub unsafe fn not_null_is_valid(desc: pg_sys::TupleDesc, index: usize) -> bool {
    #[cfg(feature = "pg17")]
    {
        let _ = (desc, index);
        true
    }
    // SAFETY: per contract; `compact_attrs` has one entry per column.
    #[cfg(not(feature = "pg17"))]
    unsafe {
        let compact = (*desc).compact_attrs.as_ptr().add(index);
        (*compact).attnullability as u8 == pg_sys::ATTNULLABLE_VALID
    }
}

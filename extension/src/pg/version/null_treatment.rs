//! `IGNORE NULLS` of window functions, which 19 brought.

use pgrx::pg_sys;

/// Whether the call passes over NULLs.
pub fn ignores_nulls(call: &pg_sys::WindowFunc) -> bool {
    #[cfg(feature = "pg19")]
    {
        // As it is written; the executor puts another number in its place.
        let written = pg_sys::PARSER_IGNORE_NULLS as i32;
        call.ignore_nulls == written || call.ignore_nulls == pg_sys::IGNORE_NULLS as i32
    }
    #[cfg(not(feature = "pg19"))]
    {
        let _ = call;
        false
    }
}

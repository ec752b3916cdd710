//! The server's settings.

use std::ffi::CStr;

use pgrx::pg_sys;

/// Makes a misspelt setting with this prefix an error instead of a placeholder.
pub fn reserve_prefix(prefix: &CStr) {
    // SAFETY: the string is NUL-terminated; the server copies it.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) };
}

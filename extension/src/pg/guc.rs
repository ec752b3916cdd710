//! Settings of the server and of its environment.

use std::ffi::CStr;

use pgrx::pg_sys;

/// Makes a misspelt setting with this prefix an error instead of a placeholder.
pub fn reserve_prefix(prefix: &CStr) {
    // SAFETY: the string is NUL-terminated; the server copies it.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) };
}

/// Keeps Rust backtraces out of the DETAIL of errors, where the environment of the server's start
/// would put them.
pub fn without_backtraces() {
    if std::env::var_os("RUST_LIB_BACKTRACE").is_none() {
        // SAFETY: a backend has one thread, and this runs while the library is loaded.
        unsafe { std::env::set_var("RUST_LIB_BACKTRACE", "0") };
    }
}

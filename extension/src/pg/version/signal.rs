//! Signal handlers: 18 renamed the function that sets them, 19 tells them who sent the signal.

use pgrx::pg_sys;

/// What the server calls.
#[cfg(not(feature = "pg19"))]
pub type Handler = unsafe extern "C-unwind" fn(i32);
/// What the server calls.
#[cfg(feature = "pg19")]
pub type Handler = unsafe extern "C-unwind" fn(i32, *const pg_sys::pg_signal_info);

/// Declares `$name` as a handler that runs `$body`.
#[macro_export]
macro_rules! signal_handler {
    ($(#[$doc:meta])* fn $name:ident, $body:path) => {
        $(#[$doc])*
        unsafe extern "C-unwind" fn $name(
            _signal: i32,
            #[cfg(feature = "pg19")] _sender: *const ::pgrx::pg_sys::pg_signal_info,
        ) {
            $body();
        }
    };
}

/// Has the handler called.
///
/// # Safety
/// It does only what is allowed in a signal handler.
pub unsafe fn set(signal: i32, handler: Handler) {
    // SAFETY: per contract.
    unsafe {
        #[cfg(feature = "pg17")]
        pg_sys::pqsignal(signal, Some(handler));
        #[cfg(not(feature = "pg17"))]
        pg_sys::pqsignal_be(signal, Some(handler));
    }
}

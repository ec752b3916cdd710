//! The end of a process: only the headers of 17 say in a way that the bindings keep that the call does not return.

use pgrx::pg_sys;

/// Ends the process, and runs what is to be run then.
///
/// # Safety
/// No transaction is open.
pub unsafe fn exit(code: i32) -> ! {
    // SAFETY: per contract.
    unsafe {
        pg_sys::proc_exit(code);
        #[cfg(not(feature = "pg17"))]
        unreachable!("proc_exit does not return")
    }
}

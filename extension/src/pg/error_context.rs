//! A line of CONTEXT for the errors of the server, and for ours.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use pgrx::pg_sys;

/// The line, until drop.
#[derive(Debug)]
pub struct ErrorContext {
    callback: *mut pg_sys::ErrorContextCallback,
    line: *mut c_char,
}

impl ErrorContext {
    /// Errors from here on have this line.
    pub fn enter(line: &CStr) -> Self {
        let line = CString::from(line).into_raw();
        // SAFETY: the callback lives until it has been taken from the stack again.
        unsafe {
            let callback = Box::into_raw(Box::new(pg_sys::ErrorContextCallback {
                previous: pg_sys::error_context_stack,
                callback: Some(tell),
                arg: line.cast(),
            }));
            pg_sys::error_context_stack = callback;
            ErrorContext { callback, line }
        }
    }

    /// Has the line stay for an error that is about to be raised. What catches it takes the line from the stack.
    pub fn stay(self) {
        std::mem::forget(self);
    }
}

impl Drop for ErrorContext {
    fn drop(&mut self) {
        // SAFETY: both were made by `enter`. Where ours is not the last line, one stays that leads to it.
        unsafe {
            if pg_sys::error_context_stack == self.callback {
                pg_sys::error_context_stack = (*self.callback).previous;
                drop(Box::from_raw(self.callback));
                drop(CString::from_raw(self.line));
            }
        }
    }
}

unsafe extern "C-unwind" {
    fn set_errcontext_domain(domain: *const c_char) -> c_int;
    fn errcontext_msg(format: *const c_char, ...) -> c_int;
}

unsafe extern "C-unwind" fn tell(line: *mut c_void) {
    // SAFETY: the server calls this while it builds a message; the line is a C string.
    unsafe {
        set_errcontext_domain(std::ptr::null());
        errcontext_msg(c"%s".as_ptr(), line.cast::<c_char>());
    }
}

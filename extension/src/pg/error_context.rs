//! Callbacks while the server builds a message, and a line of CONTEXT for its errors and ours.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use pgrx::pg_sys;

/// A function that is called for each message, until drop.
#[derive(Debug)]
pub struct Callback(*mut pg_sys::ErrorContextCallback);

impl Callback {
    /// Messages from here on have the function called, with this argument.
    ///
    /// # Safety
    /// The function is one that the server may call for a message, and the argument is its own.
    pub unsafe fn enter(
        function: unsafe extern "C-unwind" fn(*mut c_void),
        argument: *mut c_void,
    ) -> Self {
        // SAFETY: it lives until it has been taken from the stack again.
        unsafe {
            let callback = Box::into_raw(Box::new(pg_sys::ErrorContextCallback {
                previous: pg_sys::error_context_stack,
                callback: Some(function),
                arg: argument,
            }));
            pg_sys::error_context_stack = callback;
            Callback(callback)
        }
    }

    /// Takes it from the stack. False where it is not the last one, and stays, so that one leads on to those before it.
    fn leave(&mut self) -> bool {
        // SAFETY: made by `enter`.
        unsafe {
            let is_last = pg_sys::error_context_stack == self.0;
            if is_last {
                pg_sys::error_context_stack = (*self.0).previous;
                drop(Box::from_raw(self.0));
            }
            is_last
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The line, until drop.
#[derive(Debug)]
pub struct ErrorContext {
    callback: std::mem::ManuallyDrop<Callback>,
    line: *mut c_char,
}

impl ErrorContext {
    /// Errors from here on have this line.
    pub fn enter(line: &CStr) -> Self {
        let line = CString::from(line).into_raw();
        // SAFETY: the line is freed when the callback has been taken from the stack.
        let callback = unsafe { Callback::enter(tell, line.cast()) };
        ErrorContext {
            callback: std::mem::ManuallyDrop::new(callback),
            line,
        }
    }

    /// Has the line stay for an error that is about to be raised. What catches it takes the line from the stack.
    pub fn stay(self) {
        std::mem::forget(self);
    }
}

impl Drop for ErrorContext {
    fn drop(&mut self) {
        if self.callback.leave() {
            // SAFETY: made by `enter`, and no longer in use.
            drop(unsafe { CString::from_raw(self.line) });
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

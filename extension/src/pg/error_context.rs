//! Callbacks while the server builds a message, and a line of CONTEXT for its errors and ours.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use pgrx::pg_sys;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;

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
    said: *mut Said,
}

/// What is said of an error.
#[derive(Debug)]
struct Said {
    line: CString,
    /// DETAIL and HINT of an error for want of a privilege.
    denied: Option<[CString; 2]>,
}

impl ErrorContext {
    /// Errors from here on have this line.
    pub fn enter(line: &CStr) -> Self {
        Self::say(Said {
            line: line.into(),
            denied: None,
        })
    }

    /// The same; and those for want of a privilege have this DETAIL and HINT.
    pub fn enter_with_denied(line: &CStr, detail: &CStr, hint: &CStr) -> Self {
        Self::say(Said {
            line: line.into(),
            denied: Some([detail.into(), hint.into()]),
        })
    }

    fn say(said: Said) -> Self {
        let said = Box::into_raw(Box::new(said));
        // SAFETY: what is said is freed when the callback has been taken from the stack.
        let callback = unsafe { Callback::enter(tell, said.cast()) };
        ErrorContext {
            callback: std::mem::ManuallyDrop::new(callback),
            said,
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
            // SAFETY: made by `say`, and no longer in use.
            drop(unsafe { Box::from_raw(self.said) });
        }
    }
}

unsafe extern "C-unwind" {
    fn set_errcontext_domain(domain: *const c_char) -> c_int;
    fn errcontext_msg(format: *const c_char, ...) -> c_int;
    fn geterrcode() -> c_int;
    /// The server's `errhint_internal` came with 18.
    fn errhint(format: *const c_char, ...) -> c_int;
}

unsafe extern "C-unwind" fn tell(said: *mut c_void) {
    // SAFETY: the server calls this while it builds a message, with what `say` has given, and copies the texts.
    unsafe {
        let said = &*said.cast::<Said>();
        set_errcontext_domain(std::ptr::null());
        errcontext_msg(c"%s".as_ptr(), said.line.as_ptr());
        let denied = PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE as c_int;
        if let Some([detail, hint]) = said.denied.as_ref().filter(|_| geterrcode() == denied) {
            pg_sys::errdetail_internal(c"%s".as_ptr(), detail.as_ptr());
            errhint(c"%s".as_ptr(), hint.as_ptr());
        }
    }
}

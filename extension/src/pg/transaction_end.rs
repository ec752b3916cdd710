//! The end of a transaction, told to one listener.

use std::sync::OnceLock;

use pgrx::pg_sys;

/// How a transaction ended. Its effects are visible to others before the listener hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Committed.
    Commit,
    /// Rolled back.
    Abort,
    /// Prepared: somebody else will end it.
    Prepare,
}

static LISTENER: OnceLock<fn(End)> = OnceLock::new();

/// Names the listener, which must not fail nor touch the database. Called once, in `_PG_init`.
pub fn listen(listener: fn(End)) {
    if LISTENER.set(listener).is_ok() {
        // SAFETY: registered once per process.
        unsafe { pg_sys::RegisterXactCallback(Some(on_event), std::ptr::null_mut()) }
    }
}

unsafe extern "C-unwind" fn on_event(
    event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    let end = match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT => End::Commit,
        pg_sys::XactEvent::XACT_EVENT_ABORT => End::Abort,
        pg_sys::XactEvent::XACT_EVENT_PREPARE => End::Prepare,
        _ => return,
    };
    if let Some(listener) = LISTENER.get() {
        listener(end);
    }
}

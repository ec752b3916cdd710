//! Callbacks at the ends of transactions and subtransactions.

use std::ffi::c_void;

use pgrx::pg_sys;

use crate::error::Result;

/// How a transaction ended. Its effects are visible to others before a listener hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Committed.
    Commit,
    /// Rolled back.
    Abort,
    /// Prepared: another session will end it.
    Prepare,
}

/// Adds a listener, which must not fail nor touch the database. Called in `_PG_init`.
pub fn listen(listener: fn(End)) {
    // SAFETY: registered for the life of the process; the argument is the function itself.
    unsafe { pg_sys::RegisterXactCallback(Some(on_end), listener as *mut c_void) }
}

unsafe extern "C-unwind" fn on_end(event: pg_sys::XactEvent::Type, listener: *mut c_void) {
    let end = match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT => End::Commit,
        pg_sys::XactEvent::XACT_EVENT_ABORT => End::Abort,
        pg_sys::XactEvent::XACT_EVENT_PREPARE => End::Prepare,
        _ => return,
    };
    // SAFETY: what `listen` has registered.
    let listener: fn(End) = unsafe { std::mem::transmute(listener) };
    listener(end);
}

/// Adds a check that can still refuse a commit. Called in `_PG_init`.
pub fn check_before_commit(check: fn() -> Result<()>) {
    // SAFETY: as above.
    unsafe { pg_sys::RegisterXactCallback(Some(on_commit), check as *mut c_void) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_commit(event: pg_sys::XactEvent::Type, check: *mut c_void) {
    if matches!(
        event,
        pg_sys::XactEvent::XACT_EVENT_PRE_COMMIT | pg_sys::XactEvent::XACT_EVENT_PRE_PREPARE
    ) {
        // SAFETY: what `check_before_commit` has registered.
        let check: fn() -> Result<()> = unsafe { std::mem::transmute(check) };
        if let Err(error) = check() {
            error.report();
        }
    }
}

/// Adds a listener to the ends of subtransactions, before their memory goes: how it ends, and at which
/// level it was, 2 being the first below the transaction. It must not fail nor touch the database.
pub fn listen_to_subtransactions(listener: fn(End, i32)) {
    // SAFETY: as above.
    unsafe { pg_sys::RegisterSubXactCallback(Some(on_subtransaction_end), listener as *mut c_void) }
}

unsafe extern "C-unwind" fn on_subtransaction_end(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    listener: *mut c_void,
) {
    let end = match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => End::Commit,
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => End::Abort,
        _ => return,
    };
    // SAFETY: what `listen_to_subtransactions` has registered.
    let listener: fn(End, i32) = unsafe { std::mem::transmute(listener) };
    listener(end, nest_level());
}

/// How deep the current transaction is: 1 outside of all subtransactions.
pub fn nest_level() -> i32 {
    // SAFETY: reads the transaction state.
    unsafe { pg_sys::GetCurrentTransactionNestLevel() }
}

/// Keeps a list of what a transaction has done, each at its level, when a subtransaction at `ended` ends: what was
/// done in it is undone, or belongs to what is around it.
pub fn end_level<T>(done: &mut Vec<T>, end: End, ended: i32, level: impl Fn(&mut T) -> &mut i32) {
    if end == End::Abort {
        done.retain_mut(|item| *level(item) < ended);
    }
    for item in done {
        let level = level(item);
        *level = (*level).min(ended - 1);
    }
}

//! Being told that a trigger was made, also by code that runs no statement for it.

use std::sync::OnceLock;

use pgrx::pg_sys;

static LISTENER: OnceLock<fn()> = OnceLock::new();
static mut PREVIOUS: pg_sys::object_access_hook_type = None;

/// Adds the listener, which must not fail nor touch the database. Called in `_PG_init`.
pub fn listen_to_new_triggers(listener: fn()) {
    if LISTENER.set(listener).is_ok() {
        // SAFETY: a process has one thread; the hook that was there is called by ours.
        unsafe {
            PREVIOUS = pg_sys::object_access_hook;
            pg_sys::object_access_hook = Some(on_access);
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_access(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub_object: std::ffi::c_int,
    argument: *mut std::ffi::c_void,
) {
    // SAFETY: what the server passes to us is passed on; another library's hook may throw across our frames.
    unsafe {
        if let Some(next) = PREVIOUS {
            pg_sys::ffi::pg_guard_ffi_boundary(|| {
                next(access, class, object, sub_object, argument)
            });
        }
    }
    let is_new = access == pg_sys::ObjectAccessType::OAT_POST_CREATE;
    if is_new
        && class == pg_sys::TriggerRelationId
        && let Some(listener) = LISTENER.get()
    {
        listener();
    }
}

//! A hook for new triggers, tables with a new file, and dropped relations, also by code that runs no statement.

use std::sync::OnceLock;

use pgrx::pg_sys;

static OF_TRIGGERS: OnceLock<fn()> = OnceLock::new();
static OF_SWAPPED: OnceLock<fn(pg_sys::Oid)> = OnceLock::new();
static OF_DROPPED: OnceLock<fn(pg_sys::Oid)> = OnceLock::new();
static OF_CHILDREN: OnceLock<fn(Child)> = OnceLock::new();
static IN_PLACE: OnceLock<()> = OnceLock::new();
static mut PREVIOUS: pg_sys::object_access_hook_type = None;

/// A table that got a parent, or lost one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// The table.
    pub table: pg_sys::Oid,
    /// The parent.
    pub parent: pg_sys::Oid,
}

/// Adds the listener to tables that get a parent or lose one, which must not fail nor touch the database.
pub fn listen_to_children(listener: fn(Child)) {
    put_in_place();
    let _ = OF_CHILDREN.set(listener);
}

/// Adds the listener to new triggers, which must not fail nor touch the database. Called in `_PG_init`.
pub fn listen_to_new_triggers(listener: fn()) {
    put_in_place();
    // The first one stays; there is no other.
    let _ = OF_TRIGGERS.set(listener);
}

/// The same for tables that get the file of another one: those that the server alters on its way to something else.
/// What statements alter for their users, a name or an owner, is not among them.
pub fn listen_to_swapped_files(listener: fn(pg_sys::Oid)) {
    put_in_place();
    let _ = OF_SWAPPED.set(listener);
}

/// The same for relations that are being dropped.
pub fn listen_to_dropped_relations(listener: fn(pg_sys::Oid)) {
    put_in_place();
    let _ = OF_DROPPED.set(listener);
}

fn put_in_place() {
    if IN_PLACE.set(()).is_ok() {
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
    use pg_sys::ObjectAccessType::{OAT_DROP, OAT_POST_ALTER, OAT_POST_CREATE};
    let is_relation = class == pg_sys::RelationRelationId && sub_object == 0;
    let details = match access {
        // SAFETY: what the server passes of an altered object.
        OAT_POST_ALTER => unsafe { argument.cast::<pg_sys::ObjectAccessPostAlter>().as_ref() },
        _ => None,
    };
    let listener = match access {
        OAT_POST_CREATE if class == pg_sys::TriggerRelationId => {
            if let Some(listener) = OF_TRIGGERS.get() {
                listener();
            }
            return;
        }
        OAT_POST_ALTER if class == pg_sys::InheritsRelationId => {
            if let (Some(listener), Some(details)) = (OF_CHILDREN.get(), details) {
                listener(Child {
                    table: object,
                    parent: details.auxiliary_id,
                });
            }
            return;
        }
        OAT_POST_ALTER if is_relation => {
            let is_internal = details.is_some_and(|details| details.is_internal);
            OF_SWAPPED.get().filter(|_| is_internal)
        }
        OAT_DROP if is_relation => OF_DROPPED.get(),
        _ => return,
    };
    if let Some(listener) = listener {
        listener(object);
    }
}

//! The server's hook around utility statements, shared by this library's handlers.
//!
//! An error of the statement passes through them as a panic: then their code after it does not run.

use std::ffi::c_char;
use std::sync::OnceLock;

use super::lock_mode::LockMode;
use pgrx::pg_sys;

/// Runs around a statement, a complete node of the server's, and runs it by its second argument.
pub type Around = unsafe fn(*mut pg_sys::Node, &mut dyn FnMut());

static LISTENERS: [OnceLock<Around>; 5] = [const { OnceLock::new() }; 5];
static mut PREVIOUS: pg_sys::ProcessUtility_hook_type = None;

/// Adds one that runs within those before it, once per process or before it forks.
pub fn listen(around: Around) {
    let is_first = LISTENERS.iter().all(|place| place.get().is_none());
    let added = LISTENERS.iter().any(|place| place.set(around).is_ok());
    debug_assert!(added, "there is a place for each listener");
    if is_first {
        // SAFETY: one thread; the hook that was there is called by ours.
        unsafe {
            PREVIOUS = pg_sys::ProcessUtility_hook;
            pg_sys::ProcessUtility_hook = Some(on_utility);
        }
    }
}

/// Runs a statement within the listeners from this one on.
///
/// # Safety
/// A complete statement, while the server's hook runs.
unsafe fn run(from: usize, statement: *mut pg_sys::Node, pass_on: &dyn Fn()) {
    match LISTENERS.get(from).and_then(OnceLock::get) {
        // SAFETY: per contract.
        Some(around) => unsafe { around(statement, &mut || run(from + 1, statement, pass_on)) },
        None => pass_on(),
    }
}

#[pgrx::pg_guard]
#[allow(clippy::too_many_arguments, reason = "the server's signature")]
unsafe extern "C-unwind" fn on_utility(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    is_read_only: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    env: *mut pg_sys::QueryEnvironment,
    to: *mut pg_sys::DestReceiver,
    done: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: what the server passes, and still holds. Another library's hook may throw across our frames.
    let pass_on = || unsafe {
        match PREVIOUS {
            Some(next) => pg_sys::ffi::pg_guard_ffi_boundary(|| {
                next(
                    statement,
                    text,
                    is_read_only,
                    context,
                    params,
                    env,
                    to,
                    done,
                );
            }),
            None => pg_sys::standard_ProcessUtility(
                statement,
                text,
                is_read_only,
                context,
                params,
                env,
                to,
                done,
            ),
        }
    };
    // SAFETY: the statement is complete.
    unsafe { run(0, (*statement).utilityStmt, &pass_on) }
}

/// The table of this name, as the session would find it; invalid if there is none.
///
/// # Safety
/// A name of the parser's.
pub(super) unsafe fn table_of(name: *mut pg_sys::RangeVar) -> pg_sys::Oid {
    // SAFETY: per contract; a look-up without a lock.
    unsafe {
        pg_sys::RangeVarGetRelidExtended(
            name,
            LockMode::None.raw(),
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    }
}

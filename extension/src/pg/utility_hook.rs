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

/// What the server passes to the hook.
#[derive(Clone, Copy)]
struct Arguments {
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
}

impl Arguments {
    /// Runs the statement within the listeners from this one on.
    ///
    /// # Safety
    /// What the server has passed, while its hook runs.
    unsafe fn run(self, from: usize) {
        // SAFETY: per contract; the statement is complete.
        unsafe {
            match LISTENERS.get(from).and_then(OnceLock::get) {
                Some(around) => around((*self.statement).utilityStmt, &mut || self.run(from + 1)),
                None => self.pass_on(),
            }
        }
    }

    /// # Safety
    /// As for [`Self::run`].
    unsafe fn pass_on(self) {
        let (a, b, c, d) = (self.statement, self.text, self.read_only_tree, self.context);
        let (e, f, g, h) = (
            self.params,
            self.environment,
            self.destination,
            self.completion,
        );
        // SAFETY: per contract. Another library's hook may throw across our frames.
        unsafe {
            match PREVIOUS {
                Some(next) => pg_sys::ffi::pg_guard_ffi_boundary(|| next(a, b, c, d, e, f, g, h)),
                None => pg_sys::standard_ProcessUtility(a, b, c, d, e, f, g, h),
            }
        }
    }
}

#[pgrx::pg_guard]
#[allow(clippy::too_many_arguments, reason = "the server's signature")]
unsafe extern "C-unwind" fn on_utility(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    let arguments = Arguments {
        statement,
        text,
        read_only_tree,
        context,
        params,
        environment,
        destination,
        completion,
    };
    // SAFETY: what the server passes, and still holds.
    unsafe { arguments.run(0) }
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

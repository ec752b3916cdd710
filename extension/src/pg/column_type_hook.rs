//! `ALTER TABLE … ALTER COLUMN … TYPE`, before the server looks at it: no event trigger tells of that.

use std::ffi::CStr;
use std::sync::OnceLock;

use pgrx::pg_sys;

use crate::error::{Result, or_report};

/// Asked of each column, by its table and name, that is about to be given a type by who may do so.
pub type Check = fn(pg_sys::Oid, &str) -> Result<()>;

static CHECK: OnceLock<Check> = OnceLock::new();
static mut PREVIOUS: pg_sys::ProcessUtility_hook_type = None;

/// Puts the hook in place, once per process or before it forks.
pub fn install(check: Check) {
    if CHECK.set(check).is_ok() {
        // SAFETY: one thread; the hook that was there is called by ours.
        unsafe {
            PREVIOUS = pg_sys::ProcessUtility_hook;
            pg_sys::ProcessUtility_hook = Some(on_utility);
        }
    }
}

#[pgrx::pg_guard]
#[allow(clippy::too_many_arguments, reason = "the server's signature")]
unsafe extern "C-unwind" fn on_utility(
    statement: *mut pg_sys::PlannedStmt,
    text: *const std::ffi::c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: what the server passes is passed on; its statement is valid meanwhile.
    unsafe {
        let node = (*statement).utilityStmt;
        if (*node).type_ == pg_sys::NodeTag::T_AlterTableStmt {
            look_at(node.cast());
        }
        let (a, b, c, d) = (statement, text, read_only_tree, context);
        let (e, f, g, h) = (params, environment, destination, completion);
        match PREVIOUS {
            // Another library's hook may throw across our frames.
            Some(next) => pg_sys::ffi::pg_guard_ffi_boundary(|| next(a, b, c, d, e, f, g, h)),
            None => pg_sys::standard_ProcessUtility(a, b, c, d, e, f, g, h),
        }
    }
}

/// # Safety
/// A complete statement.
unsafe fn look_at(statement: *mut pg_sys::AlterTableStmt) {
    // SAFETY: per contract: a list of commands, each of which names a column if it is about one.
    unsafe {
        let Some(commands) = (*statement).cmds.as_ref() else {
            return;
        };
        for at in 0..commands.length {
            let command = pg_sys::list_nth(commands, at).cast::<pg_sys::AlterTableCmd>();
            if (*command).subtype != pg_sys::AlterTableType::AT_AlterColumnType {
                continue;
            }
            let flags = pg_sys::RVROption::RVR_MISSING_OK;
            let table = pg_sys::RangeVarGetRelidExtended(
                (*statement).relation,
                pg_sys::NoLock as pg_sys::LOCKMODE,
                flags,
                None,
                std::ptr::null_mut(),
            );
            let owns = table != pg_sys::InvalidOid
                && pg_sys::object_ownercheck(
                    pg_sys::RelationRelationId,
                    table,
                    pg_sys::GetUserId(),
                );
            if owns && let Some(check) = CHECK.get() {
                let column = CStr::from_ptr((*command).name)
                    .to_string_lossy()
                    .into_owned();
                or_report(check(table, &column));
            }
        }
    }
}

//! `ALTER TABLE`, before the server looks at it, for what no event trigger tells: a column that is about to get another
//! type, and the tables of which one becomes a parent or a child of the other, or ceases to be.

use std::cell::RefCell;
use std::ffi::CStr;
use std::sync::OnceLock;

use pgrx::pg_sys;

use crate::error::{Result, or_report};

use super::transaction_end;

/// Asked of each column, by its table and name, that is about to be given a type by who may do so.
pub type Check = fn(pg_sys::Oid, &str) -> Result<()>;

static CHECK: OnceLock<Check> = OnceLock::new();

thread_local! {
    /// The parents and children that the last statement brought together or parted.
    static RELATIVES: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
}

/// Both sides of each command of the last `ALTER TABLE` that attached, detached, or changed what a table inherits from. Once.
pub fn take_relatives() -> Vec<pg_sys::Oid> {
    RELATIVES.take()
}

static mut PREVIOUS: pg_sys::ProcessUtility_hook_type = None;

/// Puts the hook in place, once per process or before it forks.
pub fn install(check: Check) {
    if CHECK.set(check).is_ok() {
        // SAFETY: one thread; the hook that was there is called by ours.
        unsafe {
            PREVIOUS = pg_sys::ProcessUtility_hook;
            pg_sys::ProcessUtility_hook = Some(on_utility);
        }
        // A command that failed is no matter of the next transaction.
        transaction_end::listen(|_| RELATIVES.set(Vec::new()));
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
        RELATIVES.set(Vec::new());
        for at in 0..commands.length {
            let command = pg_sys::list_nth(commands, at).cast::<pg_sys::AlterTableCmd>();
            if let Some(other) = relative(command) {
                let both = [table_of((*statement).relation), table_of(other)];
                RELATIVES.with_borrow_mut(|known| {
                    known.extend(both.into_iter().filter(|oid| *oid != pg_sys::InvalidOid));
                });
            }
            if (*command).subtype != pg_sys::AlterTableType::AT_AlterColumnType {
                continue;
            }
            let table = table_of((*statement).relation);
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

/// The parent or child that a command names.
///
/// # Safety
/// A complete command.
unsafe fn relative(command: *mut pg_sys::AlterTableCmd) -> Option<*mut pg_sys::RangeVar> {
    use pg_sys::AlterTableType as Type;
    // SAFETY: per contract: the kind of command says what its definition is.
    unsafe {
        match (*command).subtype {
            Type::AT_AddInherit | Type::AT_DropInherit => Some((*command).def.cast()),
            Type::AT_AttachPartition
            | Type::AT_DetachPartition
            | Type::AT_DetachPartitionFinalize => {
                Some((*(*command).def.cast::<pg_sys::PartitionCmd>()).name)
            }
            _ => None,
        }
    }
}

/// The table of this name, as the session would find it; invalid if there is none.
///
/// # Safety
/// A name of the parser's.
unsafe fn table_of(name: *mut pg_sys::RangeVar) -> pg_sys::Oid {
    // SAFETY: per contract; a look-up without a lock.
    unsafe {
        pg_sys::RangeVarGetRelidExtended(
            name,
            pg_sys::NoLock as pg_sys::LOCKMODE,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    }
}

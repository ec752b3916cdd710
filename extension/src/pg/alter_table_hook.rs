//! `ALTER TABLE`, before the server runs it, for facts that event triggers do not have: a column that is about to change
//! its type, and tables of which one becomes or ceases to be a parent of the other; and the table itself,
//! which event triggers would have to query. Also statements whose messages list objects.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::sync::OnceLock;

use pgrx::pg_sys;

use crate::error::{Result, or_report};

use super::error_detail::{self, Told};
use super::invalidation;
use super::transaction_end::{self, End};
use super::utility_hook::{self, table_of};

/// Asked of each column, by its table and name, that is about to be given a type by who may do so.
pub type Check = fn(pg_sys::Oid, &str) -> Result<()>;

static CHECK: OnceLock<(Check, Told)> = OnceLock::new();

thread_local! {
    /// The parents and children that the last statement brought together or parted.
    static RELATIVES: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
    /// The table of the innermost running `ALTER TABLE`, and of what the session had been told before.
    static ALTERING: Cell<Option<(pg_sys::Oid, u64)>> = const { Cell::new(None) };
    /// Whether the innermost running statement does nothing but move tables to another tablespace.
    static MOVING: Cell<bool> = const { Cell::new(false) };
}

/// Both sides of each command of the last `ALTER TABLE` that attached, detached, or changed what a table inherits from. Once.
pub fn take_relatives() -> Vec<pg_sys::Oid> {
    RELATIVES.take()
}

/// Whether the last `ALTER TABLE` did any of that.
pub fn has_relatives() -> bool {
    RELATIVES.with_borrow(|known| !known.is_empty())
}

/// The table that the innermost running `ALTER TABLE` has altered; `None` unless that is certain. Its name was looked
/// up without a lock, so that it counts only when the server has told of a change of that table since.
pub fn altered() -> Option<pg_sys::Oid> {
    let (table, before) = ALTERING.get()?;
    invalidation::any_since(before, &[table]).then_some(table)
}

/// Whether the innermost running statement does nothing but move tables to another tablespace.
pub fn only_moves() -> bool {
    MOVING.get()
}

/// Begins to look, once per process or before it forks. `told` is what is told of messages that name objects.
pub fn install(check: Check, told: Told) {
    if CHECK.set((check, told)).is_ok() {
        utility_hook::listen(around);
        // A command that failed is no matter of the next transaction.
        transaction_end::listen(|_| {
            RELATIVES.set(Vec::new());
            ALTERING.set(None);
            MOVING.set(false);
        });
        // An error has left what was running; what runs around it is no longer known.
        transaction_end::listen_to_subtransactions(|end, _| {
            if end == End::Abort {
                ALTERING.set(None);
                MOVING.set(false);
            }
        });
    }
}

/// # Safety
/// A complete statement.
unsafe fn around(node: *mut pg_sys::Node, run: &mut dyn FnMut()) {
    // SAFETY: per contract; the tag says what it is.
    unsafe {
        let outer = ALTERING.replace(None);
        let outer_moves = MOVING.replace(moves_only(node));
        if (*node).type_ == pg_sys::NodeTag::T_AlterTableStmt {
            look_at(node.cast());
        }
        let names_objects = names_objects((*node).type_);
        if let Some((_, told)) = CHECK.get().filter(|_| names_objects) {
            error_detail::telling(*told, run);
        } else {
            run();
        }
        ALTERING.set(outer);
        MOVING.set(outer_moves);
    }
}

/// Whether a statement is `ALTER TABLE … SET TABLESPACE`, without other commands, or the same for all in a tablespace.
///
/// # Safety
/// A complete statement.
unsafe fn moves_only(node: *mut pg_sys::Node) -> bool {
    // SAFETY: per contract; the tag says what it is.
    unsafe {
        match (*node).type_ {
            pg_sys::NodeTag::T_AlterTableMoveAllStmt => true,
            pg_sys::NodeTag::T_AlterTableStmt => {
                let commands = (*node.cast::<pg_sys::AlterTableStmt>()).cmds;
                (0..pg_sys::list_length(commands)).all(|at| {
                    let command = pg_sys::list_nth(commands, at).cast::<pg_sys::AlterTableCmd>();
                    (*command).subtype == pg_sys::AlterTableType::AT_SetTableSpace
                })
            }
            _ => false,
        }
    }
}

/// Whether messages of such a statement list what depends on something, or say what is in the way.
fn names_objects(statement: pg_sys::NodeTag) -> bool {
    use pg_sys::NodeTag as Tag;
    matches!(
        statement,
        Tag::T_DropStmt
            | Tag::T_DropRoleStmt
            | Tag::T_DropOwnedStmt
            | Tag::T_ReassignOwnedStmt
            | Tag::T_AlterTableStmt
            | Tag::T_AlterDomainStmt
            | Tag::T_AlterTypeStmt
            | Tag::T_AlterExtensionStmt
            | Tag::T_AlterOpFamilyStmt
            | Tag::T_RenameStmt
    )
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
        let known = invalidation::generation();
        ALTERING.set(Some((table_of((*statement).relation), known)));
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
            if owns && let Some((check, _)) = CHECK.get() {
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

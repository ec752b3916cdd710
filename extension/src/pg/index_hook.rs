//! Statements that take an index away or give it another name, before the server looks at them: afterwards nothing tells
//! which index it was, and `DROP INDEX CONCURRENTLY` has committed half of its work by then.

use std::sync::OnceLock;

use pgrx::pg_sys;

use crate::error::{Result, or_report};

use super::utility_hook::{self, table_of};

/// Asked of each index, by its table, that a statement is about to do this to, if its user may.
pub type Check = fn(pg_sys::Oid, pg_sys::Oid, &'static str) -> Result<()>;

static CHECK: OnceLock<Check> = OnceLock::new();

/// Begins to look, once per process or before it forks.
pub fn install(check: Check) {
    if CHECK.set(check).is_ok() {
        utility_hook::listen(around);
    }
}

/// # Safety
/// A complete statement.
unsafe fn around(node: *mut pg_sys::Node, run: &mut dyn FnMut()) {
    use pg_sys::NodeTag as Tag;
    // SAFETY: per contract; the tag says what it is.
    unsafe {
        match (*node).type_ {
            Tag::T_DropStmt => drops(node.cast()),
            Tag::T_RenameStmt => renames(node.cast()),
            Tag::T_AlterObjectDependsStmt => makes_dependent(node.cast()),
            Tag::T_AlterTableStmt => adds_constraints(node.cast()),
            _ => {}
        }
    }
    run();
}

/// # Safety
/// A complete statement.
unsafe fn drops(statement: *mut pg_sys::DropStmt) {
    // SAFETY: per contract: of indexes, the objects are lists of names.
    unsafe {
        if (*statement).removeType != pg_sys::ObjectType::OBJECT_INDEX {
            return;
        }
        for at in 0..pg_sys::list_length((*statement).objects) {
            let names = pg_sys::list_nth((*statement).objects, at);
            ask(
                table_of(pg_sys::makeRangeVarFromNameList(names.cast())),
                "drop",
            );
        }
    }
}

/// # Safety
/// A complete statement.
unsafe fn renames(statement: *mut pg_sys::RenameStmt) {
    use pg_sys::ObjectType::{OBJECT_INDEX, OBJECT_TABLE};
    // SAFETY: per contract: ALTER TABLE renames indexes, too.
    unsafe {
        if matches!((*statement).renameType, OBJECT_INDEX | OBJECT_TABLE) {
            ask(table_of((*statement).relation), "rename");
        }
    }
}

/// # Safety
/// A complete statement.
unsafe fn makes_dependent(statement: *mut pg_sys::AlterObjectDependsStmt) {
    // SAFETY: per contract: an index is named as a relation.
    unsafe {
        if (*statement).objectType == pg_sys::ObjectType::OBJECT_INDEX {
            ask(table_of((*statement).relation), "alter");
        }
    }
}

/// # Safety
/// A complete statement.
unsafe fn adds_constraints(statement: *mut pg_sys::AlterTableStmt) {
    use pg_sys::AlterTableType::AT_AddConstraint;
    // SAFETY: per contract: the definition of a constraint is one, and its index is beside its table.
    unsafe {
        for at in 0..pg_sys::list_length((*statement).cmds) {
            let command = pg_sys::list_nth((*statement).cmds, at).cast::<pg_sys::AlterTableCmd>();
            if (*command).subtype != AT_AddConstraint {
                continue;
            }
            let constraint = (*command).def.cast::<pg_sys::Constraint>();
            if !(*constraint).indexname.is_null() {
                let schema = pg_sys::get_rel_namespace(table_of((*statement).relation));
                ask(
                    pg_sys::get_relname_relid((*constraint).indexname, schema),
                    "make a constraint of",
                );
            }
        }
    }
}

/// Asks about a relation, if it is an index of a table that the user owns: of others the server says so.
fn ask(index: pg_sys::Oid, action: &'static str) {
    // SAFETY: look-ups in the server's caches.
    let table = unsafe {
        let table = pg_sys::IndexGetRelation(index, true);
        let user = pg_sys::GetUserId();
        let owns = table != pg_sys::InvalidOid
            && pg_sys::object_ownercheck(pg_sys::RelationRelationId, table, user);
        owns.then_some(table)
    };
    if let (Some(table), Some(check)) = (table, CHECK.get()) {
        or_report(check(table, index, action));
    }
}

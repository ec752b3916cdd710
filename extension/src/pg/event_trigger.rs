//! The statement for which an event trigger runs.

use pgrx::pg_sys;

/// Whether the statement makes one thing that was not there before, and nothing beside or in the place of anything
/// that was: a table without parents, a view, a function, an aggregate.
pub fn makes_only_new(call: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: a statement is what its tag says.
    unsafe {
        let node = statement(call);
        match node.as_ref().map(|node| node.type_) {
            // A foreign table's statement begins with that of a table.
            Some(pg_sys::NodeTag::T_CreateStmt | pg_sys::NodeTag::T_CreateForeignTableStmt) => {
                let table = node.cast::<pg_sys::CreateStmt>();
                (*table).inhRelations.is_null() && (*table).partbound.is_null()
            }
            Some(pg_sys::NodeTag::T_ViewStmt) => !(*node.cast::<pg_sys::ViewStmt>()).replace,
            Some(pg_sys::NodeTag::T_CreateFunctionStmt) => {
                !(*node.cast::<pg_sys::CreateFunctionStmt>()).replace
            }
            Some(pg_sys::NodeTag::T_DefineStmt) => !(*node.cast::<pg_sys::DefineStmt>()).replace,
            _ => false,
        }
    }
}

/// Whether the statement is `ALTER TABLE` with commands on a table, and not on a view, an index or a type.
pub fn alters_table(call: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: a statement is what its tag says.
    unsafe {
        let node = statement(call);
        let is_alter = node
            .as_ref()
            .is_some_and(|node| node.type_ == pg_sys::NodeTag::T_AlterTableStmt);
        is_alter
            && (*node.cast::<pg_sys::AlterTableStmt>()).objtype == pg_sys::ObjectType::OBJECT_TABLE
    }
}

/// Whether the statement is `ALTER SCHEMA … RENAME`.
pub fn renames_schema(call: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: a statement is what its tag says.
    unsafe {
        let node = statement(call);
        let is_rename = node
            .as_ref()
            .is_some_and(|node| node.type_ == pg_sys::NodeTag::T_RenameStmt);
        is_rename
            && (*node.cast::<pg_sys::RenameStmt>()).renameType == pg_sys::ObjectType::OBJECT_SCHEMA
    }
}

/// Whether the statement is `ALTER … SET SCHEMA`.
pub fn moves_to_schema(call: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: a node has a tag.
    let tag = unsafe { statement(call).as_ref() }.map(|node| node.type_);
    tag == Some(pg_sys::NodeTag::T_AlterObjectSchemaStmt)
}

/// The statement, or null if the function is not called for an event.
fn statement(call: pg_sys::FunctionCallInfo) -> *mut pg_sys::Node {
    // SAFETY: the server passes the call of the function; its context is what its tag says, and the statement is
    // valid meanwhile.
    unsafe {
        match (*call).context.as_ref() {
            Some(data) if data.type_ == pg_sys::NodeTag::T_EventTriggerData => {
                let data = std::ptr::from_ref(data).cast::<pg_sys::EventTriggerData>();
                (*data).parsetree
            }
            _ => std::ptr::null_mut(),
        }
    }
}

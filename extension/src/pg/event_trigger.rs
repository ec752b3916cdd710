//! The statement for which an event trigger runs.

use pgrx::pg_sys;

/// Whether the statement makes one thing that was not there before, and nothing beside or in the place of anything
/// that was: a table without parents, a view, a function, an aggregate.
pub fn makes_only_new(call: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: the server passes the call of the function; its context is what its tag says, and the statement is
    // valid meanwhile.
    unsafe {
        let Some(data) = (*call)
            .context
            .as_ref()
            .filter(|data| data.type_ == pg_sys::NodeTag::T_EventTriggerData)
        else {
            return false;
        };
        let data = std::ptr::from_ref(data).cast::<pg_sys::EventTriggerData>();
        let node = (*data).parsetree;
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

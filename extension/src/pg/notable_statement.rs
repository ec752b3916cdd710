//! Statements that matter to the scheduler but fire no trigger.

use std::ffi::CStr;
use std::sync::OnceLock;

use pgrx::pg_sys;

use super::utility_hook;

/// Such a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notable {
    /// `COMMIT PREPARED`: another session's changes become visible.
    CommitPrepared,
    /// A database that must be free of sessions: dropped, renamed, moved, or copied.
    Database(pg_sys::Oid),
    /// An extension is created, updated or dropped.
    Extension,
}

/// Called in place of a notable statement; runs it by its second argument.
pub type Around = fn(Notable, &mut dyn FnMut());

static AROUND: OnceLock<Around> = OnceLock::new();

/// Begins to look. Called once, while the library is preloaded.
pub fn install(around: Around) {
    if AROUND.set(around).is_ok() {
        utility_hook::listen(run_around);
    }
}

/// # Safety
/// A complete statement.
unsafe fn run_around(node: *mut pg_sys::Node, run: &mut dyn FnMut()) {
    // SAFETY: per contract.
    match (unsafe { classify(node) }, AROUND.get()) {
        (Some(notable), Some(around)) => around(notable, run),
        _ => run(),
    }
}

/// # Safety
/// A node of the server's, or NULL.
unsafe fn classify(node: *mut pg_sys::Node) -> Option<Notable> {
    // SAFETY: per contract; the tag says what may be read.
    unsafe {
        match node.as_ref()?.type_ {
            pg_sys::NodeTag::T_TransactionStmt => {
                let kind = (*node.cast::<pg_sys::TransactionStmt>()).kind;
                (kind == pg_sys::TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED)
                    .then_some(Notable::CommitPrepared)
            }
            pg_sys::NodeTag::T_CreateExtensionStmt | pg_sys::NodeTag::T_AlterExtensionStmt => {
                Some(Notable::Extension)
            }
            pg_sys::NodeTag::T_DropStmt => {
                let kind = (*node.cast::<pg_sys::DropStmt>()).removeType;
                (kind == pg_sys::ObjectType::OBJECT_EXTENSION).then_some(Notable::Extension)
            }
            pg_sys::NodeTag::T_DropdbStmt => database((*node.cast::<pg_sys::DropdbStmt>()).dbname),
            pg_sys::NodeTag::T_AlterDatabaseStmt => {
                database((*node.cast::<pg_sys::AlterDatabaseStmt>()).dbname)
            }
            pg_sys::NodeTag::T_RenameStmt => {
                let rename = node.cast::<pg_sys::RenameStmt>();
                if (*rename).renameType == pg_sys::ObjectType::OBJECT_DATABASE {
                    database((*rename).subname)
                } else {
                    None
                }
            }
            pg_sys::NodeTag::T_CreatedbStmt => template(node.cast()),
            _ => None,
        }
    }
}

/// The database of this name, if the user may run this statement on it.
///
/// # Safety
/// A name of the parser's.
unsafe fn database(name: *const std::ffi::c_char) -> Option<Notable> {
    // SAFETY: per contract; look-ups in the system catalogs.
    unsafe {
        let oid = pg_sys::get_database_oid(name, true);
        let owns = oid != pg_sys::InvalidOid
            && pg_sys::object_ownercheck(pg_sys::DatabaseRelationId, oid, pg_sys::GetUserId());
        owns.then_some(Notable::Database(oid))
    }
}

/// The database that a new one is copied from.
///
/// # Safety
/// A complete statement.
unsafe fn template(statement: *mut pg_sys::CreatedbStmt) -> Option<Notable> {
    // SAFETY: per contract: a list of definitions.
    unsafe {
        if !pg_sys::have_createdb_privilege() {
            return None;
        }
        let options = (*statement).options;
        let count = options.as_ref().map_or(0, |list| list.length);
        let mut name: *const std::ffi::c_char = c"template1".as_ptr();
        for index in 0..count {
            let option = pg_sys::list_nth(options, index).cast::<pg_sys::DefElem>();
            if CStr::from_ptr((*option).defname) == c"template" && !(*option).arg.is_null() {
                name = pg_sys::defGetString(option);
            }
        }
        let oid = pg_sys::get_database_oid(name, true);
        (oid != pg_sys::InvalidOid).then_some(Notable::Database(oid))
    }
}

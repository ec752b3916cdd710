//! Removing rows of the extension's own tables natively: one by one, or all at once.

use super::change_index;
use super::lock_mode::LockMode;
use super::relation::Relation;
use super::transaction;
use super::user::OwnerContext;
use super::version::row_deletion;
use crate::error::Result;
use pgrx::{IntoDatum, pg_sys};

/// Whether a lock taken now is given back soon: the transaction is the statement.
pub fn may_lock_briefly() -> bool {
    // SAFETY: reads the transaction state.
    unsafe { !pg_sys::IsTransactionBlock() && !pg_sys::IsSubTransaction() }
}

/// An ACCESS EXCLUSIVE lock on a relation.
#[derive(Debug)]
pub struct Exclusive {
    relation: pg_sys::Oid,
}

/// Locks a relation exclusively if it is not in use.
pub fn try_exclusive(relation: pg_sys::Oid) -> Option<Exclusive> {
    // SAFETY: a lock request that does not wait.
    let granted =
        unsafe { pg_sys::ConditionalLockRelationOid(relation, LockMode::AccessExclusive.raw()) };
    granted.then_some(Exclusive { relation })
}

impl Exclusive {
    /// Gives the lock back at once; nothing has been changed under it.
    pub fn release(self) {
        // SAFETY: the lock is held.
        unsafe { pg_sys::UnlockRelationOid(self.relation, LockMode::AccessExclusive.raw()) }
    }
}

/// Completes the BRIN indexes of one of the extension's tables, unless it is being maintained.
/// Only vacuum would do so otherwise, and until then a look-up returns every page that is new.
pub fn summarise(table: &Relation) -> Result<()> {
    let lockmode = LockMode::ShareUpdateExclusive.raw();
    // SAFETY: a lock request that does not wait.
    if !unsafe { pg_sys::ConditionalLockRelationOid(table.oid(), lockmode) } {
        return Ok(());
    }
    {
        let _owner = OwnerContext::extension_owner()?;
        let is_brin = |index: &pg_sys::Oid| {
            Relation::try_open(*index, LockMode::AccessShare)
                .is_some_and(|index| change_index::is_brin(&index))
        };
        for index in table.indexes().into_iter().filter(is_brin) {
            // SAFETY: a function of SQL that takes one OID, of a BRIN index.
            unsafe {
                pgrx::direct_function_call::<i32>(
                    pg_sys::brin_summarize_new_values,
                    &[index.into_datum()],
                );
            }
        }
    }
    // SAFETY: the lock is held.
    unsafe { pg_sys::UnlockRelationOid(table.oid(), lockmode) };
    Ok(())
}

/// Empties a table that is locked in ACCESS EXCLUSIVE mode and not otherwise used in this session.
/// Undone if the transaction aborts.
pub fn truncate(table: Relation) {
    // SAFETY: one open relation and its OID, as ExecuteTruncateGuts wants them; it does not close
    // relations that are given to it.
    unsafe {
        let relations = pg_sys::lappend(std::ptr::null_mut(), table.as_ptr().cast());
        let oids = pg_sys::lappend_oid(std::ptr::null_mut(), table.oid());
        pg_sys::ExecuteTruncateGuts(
            relations,
            oids,
            std::ptr::null_mut(),
            pg_sys::DropBehavior::DROP_RESTRICT,
            false,
            false,
        );
        pg_sys::CommandCounterIncrement();
    }
}

/// Gives one of our tables an empty file, if no one else uses it: its lock is kept until the transaction ends. Undone if
/// that aborts. The indexes are wrong until [`reindex`].
pub fn empty_file(table: &Relation) -> bool {
    // SAFETY: reads variables of the process.
    let is_worker = unsafe { pg_sys::MyBackendType } == pg_sys::BackendType::B_BG_WORKER;
    // A transaction block may take long, and dumps would wait for it.
    if table.is_logged_logically() || (transaction::is_block() && !is_worker) {
        return false;
    }
    let Some(lock) = try_exclusive(table.oid()) else {
        return false;
    };
    // SAFETY: an open table has its pg_class row.
    let toast = unsafe { (*(*table.as_ptr()).rd_rel).reltoastrelid };
    let has_toast = toast != pg_sys::InvalidOid;
    if table.reference_count() > 1 || (has_toast && try_exclusive(toast).is_none()) {
        lock.release();
        return false;
    }
    // SAFETY: both tables are open, and locked in ACCESS EXCLUSIVE mode.
    unsafe {
        let raw = table.as_ptr();
        pg_sys::RelationSetNewRelfilenumber(raw, table.persistence() as std::ffi::c_char);
        if has_toast {
            let toast = pg_sys::relation_open(toast, LockMode::None.raw());
            pg_sys::RelationSetNewRelfilenumber(toast, (*(*toast).rd_rel).relpersistence);
            pg_sys::relation_close(toast, LockMode::None.raw());
        }
        pg_sys::pgstat_count_truncate(raw);
    }
    true
}

/// Makes the indexes of a table anew that is locked in ACCESS EXCLUSIVE mode.
pub fn reindex(table: pg_sys::Oid) {
    let params = pg_sys::ReindexParams::default();
    // SAFETY: the table is locked; none of its indexes is open.
    unsafe {
        let whole = pg_sys::REINDEX_REL_PROCESS_TOAST as i32;
        pg_sys::reindex_relation(std::ptr::null(), table, whole, &params);
        pg_sys::CommandCounterIncrement();
    }
}

/// Deletes the row at `tid`, which the active snapshot shows; false if another transaction is at it
/// or has done so.
pub fn delete(table: &Relation, mut tid: pg_sys::ItemPointerData) -> bool {
    // SAFETY: the table is open and locked for writing.
    let result = unsafe { row_deletion::delete_now(table.as_ptr(), &mut tid) };
    result == pg_sys::TM_Result::TM_Ok
}

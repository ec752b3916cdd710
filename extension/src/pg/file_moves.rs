//! Tables that the present transaction has given another file, and whether by a statement of which it is known what
//! that means: VACUUM FULL, CLUSTER and REPACK keep the rows; of a rewrite by ALTER TABLE, and of TRUNCATE, triggers
//! tell.
//!
//! Whoever swaps the files of two tables by the server's own function has its hook called. Code that changes the
//! catalog by itself is not heard of.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;

use pgrx::pg_sys;

use super::transaction_end::{self, End};
use super::version::repack;
use super::{catalog_scan, object_hook, utility_hook};

/// The index of `pg_class` over its OIDs, and their column.
const CLASS_BY_OID: pg_sys::Oid = pg_sys::Oid::from_u32(2662);
const CLASS_OID: u32 = 1;

thread_local! {
    /// Altered relations, and whether in such a statement.
    static ALTERED: RefCell<Vec<(pg_sys::Oid, bool)>> = const { RefCell::new(Vec::new()) };
    /// Tables of whose rewrite an event trigger has told.
    static TOLD: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
    /// How many such statements run, one inside the other.
    static KEEPERS: Cell<u32> = const { Cell::new(0) };
}

/// A table with another file than before.
#[derive(Debug, Clone, Copy)]
pub struct Moved {
    /// The table.
    pub table: pg_sys::Oid,
    /// The number of its file before the transaction.
    pub from: u32,
    /// The number of its file now.
    pub to: u32,
    /// Whether its rows are the same, or others are told of them.
    pub is_harmless: bool,
}

/// Puts the hooks in place, once per process or before it forks.
pub fn init() {
    object_hook::listen_to_altered_relations(|table| {
        ALTERED.with_borrow_mut(|altered| {
            let entry = (table, KEEPERS.get() > 0);
            if altered.last() != Some(&entry) {
                altered.push(entry);
            }
        });
    });
    transaction_end::listen(|end| {
        ALTERED.with_borrow_mut(Vec::clear);
        TOLD.with_borrow_mut(Vec::clear);
        if end == End::Abort {
            KEEPERS.set(0);
        }
    });
    // An error may have come out of such a statement. What follows in an outer one is looked at then.
    transaction_end::listen_to_subtransactions(|end, _| {
        if end == End::Abort {
            KEEPERS.set(0);
        }
    });
    utility_hook::listen(around);
}

/// An event trigger has told of the rewrite of a table, also in a session whose first statement of ours that is.
pub fn told(table: pg_sys::Oid) {
    TOLD.with_borrow_mut(|told| told.push(table));
}

/// The tables among those altered that `is_wanted` and that have another file than before the transaction.
pub fn of_transaction(is_wanted: &dyn Fn(pg_sys::Oid) -> bool) -> Vec<Moved> {
    let mut altered = ALTERED.with_borrow(Vec::clone);
    // Once harmful, always so.
    altered.sort_unstable_by_key(|(table, is_harmless)| (table.to_u32(), *is_harmless));
    altered.dedup_by_key(|(table, _)| *table);
    altered.retain(|(table, _)| is_wanted(*table));
    let mut moved = Vec::new();
    for (table, is_harmless) in altered {
        let (before, now) = (file(table, true), file(table, false));
        if let (Some(from), Some(to)) = (before, now)
            && from != to
        {
            moved.push(Moved {
                table,
                from,
                to,
                is_harmless: is_harmless || TOLD.with_borrow(|told| told.contains(&table)),
            });
        }
    }
    moved
}

/// The number of a table's file, now or before the present transaction.
fn file(table: pg_sys::Oid, before: bool) -> Option<u32> {
    let mut found = None;
    let keys = [catalog_scan::oid_key(CLASS_OID, table)];
    let mut visit = |row: *const c_void| {
        // SAFETY: a row of pg_class.
        let file = unsafe { (*row.cast::<pg_sys::FormData_pg_class>()).relfilenode };
        found = Some(file.to_u32());
        false
    };
    // SAFETY: the copy of a snapshot is ours to change, and is registered while it is in use. With the first command's
    // number it shows nothing that the transaction has done.
    unsafe {
        let snapshot = if before {
            let latest = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
            (*latest).curcid = pg_sys::FirstCommandId;
            latest
        } else {
            std::ptr::null_mut()
        };
        catalog_scan::each_at(
            snapshot,
            pg_sys::RelationRelationId,
            CLASS_BY_OID,
            &keys,
            &mut visit,
        );
        if before {
            pg_sys::UnregisterSnapshot(snapshot);
        }
    }
    found
}

/// # Safety
/// A complete statement.
unsafe fn around(node: *mut pg_sys::Node, run: &mut dyn FnMut()) {
    // SAFETY: per contract.
    if !keeps_rows(unsafe { (*node).type_ }) {
        return run();
    }
    KEEPERS.set(KEEPERS.get() + 1);
    run();
    KEEPERS.set(KEEPERS.get().saturating_sub(1));
}

fn keeps_rows(statement: pg_sys::NodeTag) -> bool {
    use pg_sys::NodeTag::{T_AlterTableMoveAllStmt, T_AlterTableStmt, T_VacuumStmt};
    matches!(
        statement,
        T_VacuumStmt | T_AlterTableStmt | T_AlterTableMoveAllStmt | repack::STATEMENT
    )
}

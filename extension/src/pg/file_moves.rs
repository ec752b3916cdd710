//! Tables that the current transaction has given another file, and whether a known statement did so:
//! VACUUM FULL, CLUSTER and REPACK keep the rows; triggers report rewrites by ALTER TABLE, and TRUNCATE.
//!
//! Code that swaps the files of two tables by the server's own function calls its hook. Code that changes the
//! catalog directly goes unnoticed. A rolled back subtransaction undoes its records.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;

use pgrx::pg_sys;

use super::transaction_end::{self, End, end_level};
use super::version::repack;
use super::{catalog_scan, object_hook, utility_hook};

/// The index of `pg_class` over its OIDs, and their column.
const CLASS_BY_OID: pg_sys::Oid = pg_sys::Oid::from_u32(2662);
const CLASS_OID: u32 = 1;

/// What has been noted of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// It got the file of another one.
    Swapped,
    /// The same by a statement that keeps the rows.
    Kept,
    /// An event trigger has announced the rewrite.
    Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Note {
    table: pg_sys::Oid,
    what: What,
    /// That of the transaction.
    level: i32,
}

thread_local! {
    static NOTES: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
    /// How many statements that keep rows run, one inside the other.
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
    /// Whether its rows are the same, or their readers are notified.
    pub is_harmless: bool,
}

/// Puts the hooks in place, once per process or before it forks.
pub fn init() {
    object_hook::listen_to_swapped_files(|table| {
        NOTES.with_borrow_mut(|notes| {
            let is_told = |note: &Note| note.table == table && note.what == What::Told;
            let told = notes.iter().rposition(is_told).map(|at| notes.remove(at));
            let is_kept = KEEPERS.get() > 0 || told.is_some();
            note(
                notes,
                table,
                if is_kept { What::Kept } else { What::Swapped },
            );
        });
    });
    transaction_end::listen(|end| {
        NOTES.with_borrow_mut(Vec::clear);
        if end == End::Abort {
            KEEPERS.set(0);
        }
    });
    transaction_end::listen_to_subtransactions(|end, level| {
        NOTES.with_borrow_mut(|notes| end_level(notes, end, level, |note| &mut note.level));
        if end == End::Abort {
            // An error may have come out of such a statement. What follows in an outer one is looked at then.
            KEEPERS.set(0);
        }
    });
    utility_hook::listen(around);
}

fn note(notes: &mut Vec<Note>, table: pg_sys::Oid, what: What) {
    let level = transaction_end::nest_level();
    let note = Note { table, what, level };
    if notes.last() != Some(&note) {
        notes.push(note);
    }
}

/// An event trigger has told of the rewrite of a table, also in a session whose first of our statements this is.
pub fn told(table: pg_sys::Oid) {
    NOTES.with_borrow_mut(|notes| note(notes, table, What::Told));
}

/// The tables among those noted that `is_wanted` and that have another file than before the transaction.
pub fn of_transaction(is_wanted: &dyn Fn(pg_sys::Oid) -> bool) -> Vec<Moved> {
    let mut notes = NOTES.with_borrow(Vec::clone);
    notes.retain(|note| note.what != What::Told);
    // Once swapped, always so.
    notes.sort_unstable_by_key(|note| (note.table.to_u32(), note.what));
    notes.dedup_by_key(|note| note.table);
    notes.retain(|note| is_wanted(note.table));
    let mut moved = Vec::new();
    for Note { table, what, .. } in notes {
        let (before, now) = (file(table, true), file(table, false));
        if let (Some(from), Some(to)) = (before, now)
            && from != to
        {
            moved.push(Moved {
                table,
                from,
                to,
                is_harmless: what == What::Kept,
            });
        }
    }
    moved
}

/// The number of a table's file, now or before the current transaction.
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

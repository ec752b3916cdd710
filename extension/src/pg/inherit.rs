//! Partitions and inheritance children: who is below a table, and who is above it.

use super::ffi;
use super::relation::oid_list;
use pgrx::pg_sys;

/// `pg_inherits` and its index over child and sequence number, as `catalog/pg_inherits.h` has them.
const INHERITS: pg_sys::Oid = pg_sys::Oid::from_u32(2611);
const INHERITS_BY_CHILD: pg_sys::Oid = pg_sys::Oid::from_u32(2680);

/// The first columns of `pg_inherits`.
#[repr(C)]
struct InheritsRow {
    child: pg_sys::Oid,
    parent: pg_sys::Oid,
}

/// The table itself and all below it, locked, ascending.
pub fn tree(root: pg_sys::Oid, lockmode: pg_sys::LOCKMODE) -> Vec<pg_sys::Oid> {
    // SAFETY: returns a fresh list of OIDs.
    let mut tables = unsafe {
        oid_list(ffi::find_all_inheritors(
            root,
            lockmode,
            std::ptr::null_mut(),
        ))
    };
    tables.sort_unstable_by_key(|table| table.to_u32());
    tables
}

/// Whether the table has a parent.
pub fn has_parent(table: pg_sys::Oid) -> bool {
    // SAFETY: a look-up in pg_inherits.
    unsafe { ffi::has_superclass(table) }
}

/// The direct parents of a table.
pub fn parents(table: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    let mut parents = Vec::new();
    super::catalog_scan::each(
        INHERITS,
        INHERITS_BY_CHILD,
        &[super::catalog_scan::oid_key(1, table)],
        |row| {
            // SAFETY: a row of pg_inherits.
            let row = unsafe { &*row.cast::<InheritsRow>() };
            debug_assert_eq!(row.child, table);
            parents.push(row.parent);
            true
        },
    );
    parents
}

/// The topmost ancestor; the table itself if it has no parent. Of several parents, the first.
pub fn root(table: pg_sys::Oid) -> pg_sys::Oid {
    let mut top = table;
    while let Some(parent) = parents(top).first() {
        top = *parent;
    }
    top
}

/// All that a table inherits from, directly or not, the nearest first.
pub fn ancestors(table: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    let mut found = parents(table);
    let mut at = 0;
    while let Some(next) = found.get(at).copied() {
        for parent in parents(next) {
            if !found.contains(&parent) {
                found.push(parent);
            }
        }
        at += 1;
    }
    found
}

/// The table itself and all that it inherits from.
pub fn lineage(table: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    let mut found = vec![table];
    found.extend(ancestors(table));
    found
}

//! Partitions and inheritance children: the tables below a table, and those above it.

use super::ffi;
use super::lock_mode::LockMode;
use super::node::text;
use super::relation::{Relation, oid_list};
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
pub fn tree(root: pg_sys::Oid, lockmode: LockMode) -> Vec<pg_sys::Oid> {
    // SAFETY: returns a fresh list of OIDs.
    let mut tables = unsafe {
        oid_list(ffi::find_all_inheritors(
            root,
            lockmode.raw(),
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

/// The parents, outside of a tree, of the tables in it but its root. A partition has one parent.
pub fn parents_outside(root: pg_sys::Oid, tree: &[pg_sys::Oid]) -> Vec<pg_sys::Oid> {
    if tree.len() < 2 || is_partitioned(root) {
        return Vec::new();
    }
    let mut outside: Vec<pg_sys::Oid> = (tree.iter())
        .filter(|table| **table != root)
        .flat_map(|table| parents(*table))
        .filter(|parent| !tree.contains(parent))
        .collect();
    outside.sort_unstable_by_key(|parent| parent.to_u32());
    outside.dedup();
    outside
}

/// Whether the rows of a table are in partitions.
pub fn is_partitioned(table: pg_sys::Oid) -> bool {
    Relation::try_open(table, LockMode::AccessShare)
        .is_some_and(|table| table.kind() == pg_sys::RELKIND_PARTITIONED_TABLE)
}

/// Whether a transition table of a partitioned table may lack the values of some of these columns: for rows that are routed
/// to a partition with another layout, the server puts the root's row there before it computes stored generated columns.
/// Looks at the tables below without locks on them.
pub fn hides_generated(table: pg_sys::Oid, attnums: &[i16]) -> bool {
    // SAFETY: a look-up in the system cache; zero where there is no such column.
    let is_stored =
        |attnum: &i16| unsafe { pg_sys::get_attgenerated(table, *attnum) } as u8 == b's';
    attnums
        .iter()
        .any(|attnum| *attnum > 0 && is_stored(attnum))
        && is_partitioned(table)
        && tree(table, LockMode::None)
            .into_iter()
            .any(|part| part != table && has_other_layout(table, part))
}

/// Whether a partition's columns, dropped ones among them, are not those of its parent one by one.
fn has_other_layout(table: pg_sys::Oid, part: pg_sys::Oid) -> bool {
    let name = |of: pg_sys::Oid, attnum: i16| {
        // SAFETY: a look-up in the system cache; NULL beyond the last column, else a fresh C string.
        let name = unsafe { pg_sys::get_attname(of, attnum, true) };
        (!name.is_null()).then(|| text(name))
    };
    (1..)
        .map(|attnum| (name(table, attnum), name(part, attnum)))
        .take_while(|(of_table, of_part)| of_table.is_some() || of_part.is_some())
        .any(|(of_table, of_part)| of_table != of_part)
}

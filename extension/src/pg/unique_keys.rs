//! The columns that identify the rows of a table, by its unique indexes.

use pgrx::pg_sys;

use super::lock_mode::LockMode;
use super::relation::Relation;

/// What a unique index is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Primary,
    /// A foreign key refers to it.
    Referenced,
    Other,
}

/// The columns (positions from 0) of each unique index over columns of all rows by which a row stays the same one:
/// the primary key and those that foreign keys refer to, or else any, unless another key is known.
pub fn of(table: &Relation, has_key: bool) -> Vec<Vec<usize>> {
    let referenced = referenced(table);
    let mut found = Vec::new();
    for oid in table.indexes() {
        let Some(index) = Relation::try_open(oid, LockMode::AccessShare) else {
            continue;
        };
        // SAFETY: an open index; its array of columns has one entry per key column.
        let (is_key, is_primary, columns) = unsafe {
            let form = &*(*index.as_ptr()).rd_index;
            let is_key = form.indisunique
                && form.indisvalid
                && pg_sys::RelationGetIndexPredicate(index.as_ptr()).is_null();
            let count = usize::try_from(form.indnkeyatts).unwrap_or(0);
            (
                is_key,
                form.indisprimary,
                form.indkey.values.as_slice(count),
            )
        };
        let rank = match (is_primary, referenced.contains(&oid)) {
            (true, _) => Rank::Primary,
            (false, true) => Rank::Referenced,
            (false, false) => Rank::Other,
        };
        let position = |attnum: &i16| usize::try_from(*attnum).ok()?.checked_sub(1);
        let columns = columns.iter().map(position).collect::<Option<Vec<_>>>();
        found.extend(columns.filter(|_| is_key).map(|columns| (rank, columns)));
    }
    found.sort();
    let has_key = has_key || found.first().is_some_and(|(rank, _)| *rank != Rank::Other);
    found.retain(|(rank, _)| *rank != Rank::Other || !has_key);
    found.into_iter().map(|(_, columns)| columns).collect()
}

/// The indexes that foreign keys refer to.
fn referenced(table: &Relation) -> Vec<pg_sys::Oid> {
    // SAFETY: the table is open; its trigger descriptor has numtriggers entries.
    unsafe {
        let Some(triggers) = (*table.as_ptr()).trigdesc.as_ref() else {
            return Vec::new();
        };
        let count = usize::try_from(triggers.numtriggers).unwrap_or(0);
        std::slice::from_raw_parts(triggers.triggers, count)
            .iter()
            .filter(|t| pg_sys::RI_FKey_trigger_type(t.tgfoid) == pg_sys::RI_TRIGGER_PK as i32)
            .map(|t| t.tgconstrindid)
            .collect()
    }
}

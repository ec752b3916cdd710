//! Rows that are inserted when everything that goes has gone.
//!
//! A unique index is checked row by row, and values may move from one row to another: `1, 2` becomes `2, 1`. No
//! order of updates is right for that. Where a table has a unique index that the key of its rows does not already
//! keep unique, rows whose indexed values change are deleted at once and inserted at the end.

use pgrx::pg_sys;

use super::relation::Relation;
use super::slot::{Slot, SlotKind};
use super::tupdesc::attributes;
use super::tuplestore::TupleStore;
use crate::pg::image;

/// The rows, and the columns that decide.
#[derive(Debug)]
pub struct LateRows {
    /// Of each unique index the column numbers; 0 stands for an expression.
    indexes: Vec<Vec<i16>>,
    desc: pg_sys::TupleDesc,
    store: TupleStore,
}

impl LateRows {
    /// For a table that needs it. `key` are the positions (from 0) of the columns that tell its rows apart; none
    /// where rows are written in an order that is right anyway. `context` outlives the writes.
    pub fn of(
        table: &Relation,
        key: Option<&[usize]>,
        context: pg_sys::MemoryContext,
    ) -> Option<Self> {
        let key = key?;
        let mut indexes = unique_indexes(table);
        indexes.retain(|columns| !holds(columns, key));
        (!indexes.is_empty()).then(|| LateRows {
            indexes,
            desc: table.tuple_desc(),
            store: TupleStore::new(context, table.tuple_desc()),
        })
    }

    /// Whether an update would change what one of the indexes holds.
    pub fn moves(&self, stored: &mut Slot, row: &mut Slot) -> bool {
        let columns = attributes(self.desc);
        let (old, old_nulls) = stored.values();
        let (new, new_nulls) = row.values();
        let differs = |attnum: &i16| {
            let Some(at) = usize::try_from(*attnum).ok().and_then(|n| n.checked_sub(1)) else {
                return true;
            };
            match (columns.get(at), old.get(at), new.get(at)) {
                (Some(column), Some(old), Some(new)) => {
                    let nulls = (old_nulls.get(at), new_nulls.get(at));
                    nulls.0 != nulls.1
                        || (nulls.0 == Some(&false) && !image::datum_equal(*old, *new, column))
                }
                _ => true,
            }
        };
        self.indexes.iter().flatten().any(differs)
    }

    /// Keeps a row for the end.
    pub fn keep(&mut self, row: &mut Slot) {
        self.store.put_slot(row.as_ptr());
    }

    /// The end: hands out every row.
    pub fn each(self, mut insert: impl FnMut(&mut Slot)) {
        let mut row = Slot::new(self.desc, SlotKind::Virtual);
        let mut kept = self.store.scan();
        while let Some(kept) = kept.next() {
            let (values, nulls) = kept.values();
            row.store_virtual(|row_values, row_nulls| {
                row_values.copy_from_slice(values);
                row_nulls.copy_from_slice(nulls);
            });
            insert(&mut row);
        }
    }
}

/// Whether an index has all columns of the key, so that different keys never meet in it.
fn holds(columns: &[i16], key: &[usize]) -> bool {
    key.iter().all(|at| {
        columns
            .iter()
            .any(|attnum| usize::try_from(*attnum) == Ok(at + 1))
    })
}

/// The column numbers of each unique index that is checked at once.
fn unique_indexes(table: &Relation) -> Vec<Vec<i16>> {
    let mut found = Vec::new();
    for oid in table.indexes() {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let Some(index) = Relation::try_open(oid, lock) else {
            continue;
        };
        // SAFETY: an open index; its array of columns has one entry per key column.
        unsafe {
            let form = &*(*index.as_ptr()).rd_index;
            if form.indisunique && form.indisready {
                let columns = form.indkey.values.as_ptr();
                let count = usize::try_from(form.indnkeyatts).unwrap_or(0);
                found.push(std::slice::from_raw_parts(columns, count).to_vec());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_over_the_whole_key_cannot_be_met_by_two_rows() {
        assert!(holds(&[2, 1], &[0, 1]));
        assert!(holds(&[1, 3], &[0]));
        assert!(!holds(&[1], &[0, 1]));
        assert!(!holds(&[0], &[0]), "an expression is no column");
        assert!(
            holds(&[5], &[]),
            "of a key without columns there is one row"
        );
    }
}

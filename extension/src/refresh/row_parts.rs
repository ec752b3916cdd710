//! Parts of the rows that statements return, by their layouts.

use crate::error::{Error, Result};
use crate::pg::row::{OwnedRow, Row};
use crate::pg::tuplestore::TupleStore;

/// Appends a key with the ordinal of its group.
pub fn put_ordinal(store: &mut TupleStore, ordinal: i32, key: Row<'_>) {
    let mut row = OwnedRow::default();
    row.push(ordinal);
    row.extend(key);
    store.put(row.row());
}

/// The ordinal of a row that begins with it.
pub fn ordinal_of(row: Row<'_>) -> Result<i32> {
    let (ordinal, _) = row.get(0).ok_or_else(short_row)?;
    Ok(ordinal.value() as i32)
}

/// A boolean column; NULL is false.
pub fn flag(row: Row<'_>, at: usize) -> Result<bool> {
    let (value, is_null) = row.get(at).ok_or_else(short_row)?;
    Ok(!is_null && value.value() != 0)
}

/// The columns that a layout has from a position on.
pub fn part(row: Row<'_>, at: usize, len: usize) -> Result<Row<'_>> {
    row.part(at, len).ok_or_else(short_row)
}

fn short_row() -> Error {
    Error::Internal("a statement returned fewer columns than its layout says".into())
}

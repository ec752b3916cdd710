//! Row types of the ephemeral relations that a refresh makes from others.

use std::ops::Range;

use pgrx::pg_sys;

use crate::pg::tupdesc::{Column, attribute_name, attributes};

/// Columns of an existing row type under new names.
pub fn columns_of(
    desc: pg_sys::TupleDesc,
    range: Range<usize>,
    rename: impl Fn(usize, &str) -> String,
) -> Vec<Column> {
    // SAFETY: callers pass the row type of something that they hold open.
    unsafe { attributes(desc) }
        .iter()
        .skip(range.start)
        .take(range.len())
        .enumerate()
        .map(|(position, attribute)| Column {
            name: rename(position, &attribute_name(attribute).to_string_lossy()),
            type_oid: attribute.atttypid,
            typmod: attribute.atttypmod,
            collation: attribute.attcollation,
        })
        .collect()
}

/// A column of a type without modifier and collation.
pub fn plain(name: &str, type_oid: pg_sys::Oid) -> Column {
    Column {
        name: name.to_owned(),
        type_oid,
        typmod: -1,
        collation: pg_sys::InvalidOid,
    }
}

/// The number of columns of a row type.
pub fn width(desc: pg_sys::TupleDesc) -> usize {
    // SAFETY: as above.
    unsafe { attributes(desc) }.len()
}

//! The change buffer of a source: `pgtrickle_changes.changes_<oid>`, its name and its columns.
//!
//! The first three columns say whose change it is, in which epoch, and with which weight; then
//! follow the captured columns, `a<attnum>` each, in the order in which consumers asked for them.

use crate::error::{CaptureError, Error, Result};
use crate::pg::name;
use crate::pg::relation::Relation;
use crate::pg::tupdesc::{attribute_name, attributes};
use pgrx::pg_sys;

/// The schema of all buffers.
pub const SCHEMA: &str = "pgtrickle_changes";

/// Position of `__pgt_w`: the weight, or that of a [`super::Marker`]. Before it stand `__pgt_xid`, the full id of the
/// top-level transaction, and `__pgt_epoch`.
pub const WEIGHT: usize = 2;
/// Position of the first captured column.
pub const FIRST_COLUMN: usize = 3;

/// The name of a source's buffer, without schema.
pub fn name(source: pg_sys::Oid) -> String {
    format!("changes_{}", source.to_u32())
}

/// The name of a buffer column.
pub fn column_name(attnum: i16) -> String {
    format!("a{attnum}")
}

/// The OID of a source's buffer, if it has one.
pub fn find(source: pg_sys::Oid) -> Result<Option<pg_sys::Oid>> {
    match name::find_namespace(c"pgtrickle_changes") {
        Some(schema) => name::relation_in(schema, &name(source)),
        None => Ok(None),
    }
}

/// The captured columns of an open buffer: position and attribute number in the source, by position.
pub fn columns(buffer: &Relation) -> Vec<(usize, i16)> {
    let attributes = attributes(buffer.tuple_desc());
    let captured = |attribute: &pg_sys::FormData_pg_attribute| {
        let name = attribute_name(attribute).to_str().ok()?;
        name.strip_prefix('a')?.parse::<i16>().ok()
    };
    attributes
        .iter()
        .enumerate()
        .skip(FIRST_COLUMN)
        .filter(|(_, attribute)| !attribute.attisdropped)
        .filter_map(|(position, attribute)| Some((position, captured(attribute)?)))
        .collect()
}

/// The position of each of the source's columns in its buffer.
pub fn positions(buffer: &Relation, attnums: &[i16]) -> Result<Vec<usize>> {
    let columns = columns(buffer);
    attnums
        .iter()
        .map(|attnum| {
            columns
                .iter()
                .find(|(_, of)| of == attnum)
                .map(|(position, _)| *position)
                .ok_or_else(|| {
                    Error::from(CaptureError::NotCaptured(format!(
                        "{}.{attnum}",
                        buffer.name()
                    )))
                })
        })
        .collect()
}

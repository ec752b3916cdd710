//! The change buffer of a source: `pgtrickle_changes.changes_<oid>`, its name and its columns.
//!
//! The first three columns are transaction, epoch and weight of the change; then
//! follow the captured columns, `a<attnum>` each, and `s6` for the table of the row, in the order in which consumers
//! first needed them.

use crate::error::{CaptureError, Error, Result};
use crate::pg::name;
use crate::pg::relation::Relation;
use crate::pg::tupdesc::{attribute_name, attributes};
use pgrx::pg_sys;
use pgtrickle_dvm::sql::names;

/// The schema of all buffers.
pub const SCHEMA: &str = "pgtrickle_changes";

/// Position of `__pgt_w`: the weight, or that of a [`super::Marker`]. Before it stand `__pgt_xid`, the full id of the
/// top-level transaction, and `__pgt_epoch`.
pub const WEIGHT: usize = 2;
/// Position of the first captured column.
pub const FIRST_COLUMN: usize = 3;
/// The attribute number that stands for the table of a row.
pub const TABLE: i16 = pg_sys::TableOidAttributeNumber as i16;

/// The name of a source's buffer, without schema.
pub fn name(source: pg_sys::Oid) -> String {
    format!("changes_{}", source.to_u32())
}

/// The name of a buffer column, which is that in a delta.
pub fn column_name(attnum: i16) -> String {
    names::attribute(attnum)
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
        names::attnum(attribute_name(attribute).to_str().ok()?)
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

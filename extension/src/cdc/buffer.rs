//! The change buffer of a source: `pgtrickle_changes.changes_<oid>`, its name and its columns.
//!
//! The first three columns say whose change it is, in which epoch, and with which weight; then
//! follow the captured columns, `a<attnum>` each, in the order in which consumers asked for them.

use crate::error::{Error, Result};
use crate::pg::name::c_string;
use crate::pg::relation::Relation;
use crate::pg::tupdesc::{attribute_name, attributes};
use pgrx::pg_sys;

/// The schema of all buffers.
pub const SCHEMA: &str = "pgtrickle_changes";

/// Position of `__pgt_xid`: the full id of the top-level transaction.
pub const XID: usize = 0;
/// Position of `__pgt_epoch`.
pub const EPOCH: usize = 1;
/// Position of `__pgt_w`: the weight, 0 for "recompute".
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
    let name = c_string(&name(source))?;
    // SAFETY: look-ups in the system caches by NUL-terminated names.
    let oid = unsafe {
        let schema = pg_sys::get_namespace_oid(c"pgtrickle_changes".as_ptr(), true);
        match schema {
            pg_sys::InvalidOid => pg_sys::InvalidOid,
            schema => pg_sys::get_relname_relid(name.as_ptr(), schema),
        }
    };
    Ok((oid != pg_sys::InvalidOid).then_some(oid))
}

/// The captured columns of an open buffer: position and attribute number in the source, by position.
pub fn columns(buffer: &Relation) -> Vec<(usize, i16)> {
    // SAFETY: the buffer is open.
    let attributes = unsafe { attributes(buffer.tuple_desc()) };
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
                    Error::from(super::CaptureError::NotCaptured(format!(
                        "{}.{attnum}",
                        buffer.name()
                    )))
                })
        })
        .collect()
}

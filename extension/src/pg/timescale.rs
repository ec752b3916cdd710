//! Tables that TimescaleDB manages, as its own catalog has them.
//!
//! A hypertable holds no rows: its chunks do, which inherit from it and are created and dropped automatically. Statement
//! triggers on the hypertable see the rows of all chunks, and a chunk may have no statement triggers.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::{catalog_scan, inherit};

/// The extension, and the table of it that lists the hypertables.
const EXTENSION: &CStr = c"timescaledb";
const SCHEMA: &CStr = c"_timescaledb_catalog";
const HYPERTABLES: &CStr = c"hypertable";

/// Columns of [`HYPERTABLES`].
const SCHEMA_NAME: i32 = 2;
const TABLE_NAME: i32 = 3;

/// Whether a table is a hypertable.
pub fn is_hypertable(table: pg_sys::Oid) -> bool {
    let Some(hypertables) = hypertables() else {
        return false;
    };
    // SAFETY: look-ups in the system catalogs; copies of names, or NULL for what is gone.
    let (name, schema) = unsafe {
        let name = pg_sys::get_rel_name(table);
        if name.is_null() {
            return false;
        }
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(table));
        if schema.is_null() {
            return false;
        }
        (CStr::from_ptr(name), CStr::from_ptr(schema))
    };
    let mut found = false;
    catalog_scan::each_tuple(hypertables, &[], |desc, tuple| {
        let is = |column, wanted: &CStr| {
            let mut is_null = false;
            // SAFETY: the tuple has the row type, whose column is a name.
            unsafe {
                let value = pg_sys::heap_getattr(tuple, column, desc, &mut is_null);
                !is_null && CStr::from_ptr(value.cast_mut_ptr()) == wanted
            }
        };
        found = is(TABLE_NAME, name) && is(SCHEMA_NAME, schema);
        !found
    });
    found
}

/// The hypertable that a table is a chunk of.
pub fn hypertable_of(chunk: pg_sys::Oid) -> Option<pg_sys::Oid> {
    let parent = *inherit::parents(chunk).first()?;
    is_hypertable(parent).then_some(parent)
}

/// Whether the extension is there.
pub fn is_installed() -> bool {
    hypertables().is_some()
}

/// The extension's table of hypertables. A table of that name counts only as a member of the extension.
fn hypertables() -> Option<pg_sys::Oid> {
    // SAFETY: look-ups in the system catalogs by NUL-terminated names.
    unsafe {
        let schema = pg_sys::get_namespace_oid(SCHEMA.as_ptr(), true);
        if schema == pg_sys::InvalidOid {
            return None;
        }
        let extension = pg_sys::get_extension_oid(EXTENSION.as_ptr(), true);
        let table = pg_sys::get_relname_relid(HYPERTABLES.as_ptr(), schema);
        let is_member = extension != pg_sys::InvalidOid
            && table != pg_sys::InvalidOid
            && pg_sys::getExtensionOfObject(pg_sys::RelationRelationId, table) == extension;
        is_member.then_some(table)
    }
}

//! Tables that Citus manages, as its own catalog has them.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::catalog_scan;
use crate::error::CitusTable;

/// The extension, and the table of it that lists the tables it manages.
const EXTENSION: &CStr = c"citus";
const TABLES: &CStr = c"pg_dist_partition";

/// Columns of [`TABLES`].
const RELATION: u32 = 1;
const COLOCATION: i32 = 4;
const REPLICATION: i32 = 5;
/// `partmethod` of a table that is not split by a column.
const BY_NONE: std::ffi::c_char = b'n' as std::ffi::c_char;
/// `repmodel` of a table that each node has whole.
const BY_TWO_PHASE_COMMIT: std::ffi::c_char = b't' as std::ffi::c_char;

/// The first columns of [`TABLES`].
#[repr(C)]
struct Row {
    relation: pg_sys::Oid,
    method: std::ffi::c_char,
}

/// Whether the extension is there.
pub fn is_installed() -> bool {
    tables().is_some()
}

/// What the table is to Citus; `None` for an ordinary one.
pub fn kind(table: pg_sys::Oid) -> Option<CitusTable> {
    let key = catalog_scan::oid_key(RELATION, table);
    let mut found = None;
    catalog_scan::each_tuple(tables()?, &[key], |desc, tuple| {
        // SAFETY: a row of the table, whose first two columns have a fixed length.
        let row = unsafe { &*pg_sys::GETSTRUCT(tuple).cast_const().cast::<Row>() };
        debug_assert_eq!(row.relation, table);
        let value = |column| {
            let mut is_null = false;
            // SAFETY: the tuple has the row type, which has these columns.
            let value = unsafe { pg_sys::heap_getattr(tuple, column, desc, &mut is_null) };
            (!is_null).then_some(value.value())
        };
        let replication = value(REPLICATION).map(|model| model as std::ffi::c_char);
        let is_alone = value(COLOCATION).is_none_or(|group| group as u32 == 0);
        found = Some(match row.method {
            BY_NONE if replication == Some(BY_TWO_PHASE_COMMIT) => CitusTable::Reference,
            BY_NONE if is_alone => CitusTable::Local,
            _ => CitusTable::Distributed,
        });
        false
    });
    found
}

/// The extension's table of tables. A table of that name counts only as a member of the extension.
fn tables() -> Option<pg_sys::Oid> {
    // SAFETY: look-ups in the system catalogs by NUL-terminated names.
    unsafe {
        let extension = pg_sys::get_extension_oid(EXTENSION.as_ptr(), true);
        if extension == pg_sys::InvalidOid {
            return None;
        }
        let schema = pg_sys::get_extension_schema(extension);
        let table = pg_sys::get_relname_relid(TABLES.as_ptr(), schema);
        let is_member = table != pg_sys::InvalidOid
            && pg_sys::getExtensionOfObject(pg_sys::RelationRelationId, table) == extension;
        is_member.then_some(table)
    }
}

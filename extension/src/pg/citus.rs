//! Tables that Citus manages and their shards, as its own catalog has them.

use std::ffi::CStr;

use pgrx::{FromDatum, pg_sys};

use super::catalog_scan::{self, int8_key, oid_key};
use super::node::{Node, NodeOf};
use super::tupdesc::{attribute_name, attributes};
use super::{name, shard_name};
use crate::error::{CitusTable, Result};

/// The extension.
const EXTENSION: &CStr = c"citus";

/// The catalog tables of Citus that are read here, and their columns.
mod catalog {
    use std::ffi::CStr;

    /// One row per table that Citus manages.
    pub const TABLES: &CStr = c"pg_dist_partition";
    pub const TABLE_RELATION: u32 = 1;
    pub const TABLE_KEY: &str = "partkey";
    pub const TABLE_COLOCATION: &str = "colocationid";
    pub const TABLE_REPLICATION: &str = "repmodel";
    /// One row per shard.
    pub const SHARDS: &CStr = c"pg_dist_shard";
    pub const SHARD_RELATION: u32 = 1;
    pub const SHARD_MINIMUM: &str = "shardminvalue";
    /// One row per shard and node that has it.
    pub const PLACEMENTS: &CStr = c"pg_dist_placement";
    pub const PLACEMENT_SHARD: u32 = 2;
    /// The group of nodes that this one belongs to.
    pub const LOCAL_GROUP: &CStr = c"pg_dist_local_group";
}

/// `partmethod` of a table that is not split by a column.
const BY_NONE: std::ffi::c_char = b'n' as std::ffi::c_char;
/// `partmethod` of a table that is split by the hash of a column.
const BY_HASH: std::ffi::c_char = b'h' as std::ffi::c_char;
/// `repmodel` of a table whose shards may have several placements, each written by statements of its own.
const BY_STATEMENT: std::ffi::c_char = b'c' as std::ffi::c_char;
/// `repmodel` of a table that each node has whole.
const BY_TWO_PHASE_COMMIT: std::ffi::c_char = b't' as std::ffi::c_char;

/// The first columns of [`catalog::TABLES`].
#[repr(C)]
struct TableRow {
    relation: pg_sys::Oid,
    method: std::ffi::c_char,
}

/// The first columns of [`catalog::SHARDS`].
#[repr(C)]
struct ShardRow {
    relation: pg_sys::Oid,
    id: i64,
}

/// A row of [`catalog::PLACEMENTS`].
#[repr(C)]
struct PlacementRow {
    id: i64,
    shard: i64,
    state: i32,
    length: i64,
    group: i32,
}

/// How a table is spread over nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// What the table is.
    pub kind: CitusTable,
    /// The column whose hash says in which shard a row is, where each shard is on one node.
    pub column: Option<i16>,
    /// Tables of the same number have their shards side by side.
    pub colocation: u32,
}

/// A shard of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its number.
    pub id: i64,
    /// The least hash of its rows; none where there is only one shard.
    pub minimum: Option<String>,
}

/// Whether the extension is there.
pub fn is_installed() -> bool {
    member(catalog::TABLES).is_some()
}

/// What the table is to Citus; `None` for an ordinary one.
pub fn kind(table: pg_sys::Oid) -> Option<CitusTable> {
    distribution(table).map(|found| found.kind)
}

/// How Citus spreads the table; `None` for an ordinary one.
pub fn distribution(table: pg_sys::Oid) -> Option<Distribution> {
    let key = oid_key(catalog::TABLE_RELATION, table);
    let mut found = None;
    catalog_scan::each_tuple(member(catalog::TABLES)?, &[key], |desc, tuple| {
        // SAFETY: a row of the table, whose first two columns have a fixed length.
        let row = unsafe { &*pg_sys::GETSTRUCT(tuple).cast_const().cast::<TableRow>() };
        debug_assert_eq!(row.relation, table);
        let replication = value(desc, tuple, catalog::TABLE_REPLICATION);
        let replication = replication.map(|model| model.value() as std::ffi::c_char);
        let colocation = value(desc, tuple, catalog::TABLE_COLOCATION);
        let colocation = colocation.map_or(0, |group| group.value() as u32);
        let kind = match row.method {
            BY_NONE if replication == Some(BY_TWO_PHASE_COMMIT) => CitusTable::Reference,
            BY_NONE if colocation == 0 => CitusTable::Local,
            _ => CitusTable::Distributed,
        };
        let is_hashed = row.method == BY_HASH && replication != Some(BY_STATEMENT);
        let column = text(desc, tuple, catalog::TABLE_KEY).filter(|_| is_hashed);
        found = Some(Distribution {
            kind,
            column: column.and_then(|stored| attribute_number(&stored)),
            colocation,
        });
        false
    });
    found
}

/// The shards of a table, as they follow one another.
pub fn shards(table: pg_sys::Oid) -> Vec<Shard> {
    let mut found = Vec::new();
    let Some(catalog) = member(catalog::SHARDS) else {
        return found;
    };
    let key = oid_key(catalog::SHARD_RELATION, table);
    catalog_scan::each_tuple(catalog, &[key], |desc, tuple| {
        // SAFETY: a row of the table, whose first two columns have a fixed length.
        let row = unsafe { &*pg_sys::GETSTRUCT(tuple).cast_const().cast::<ShardRow>() };
        debug_assert_eq!(row.relation, table);
        found.push(Shard {
            id: row.id,
            minimum: text(desc, tuple, catalog::SHARD_MINIMUM),
        });
        true
    });
    found.sort_by_key(|shard| shard.id);
    found
}

/// Whether this node has the shard.
pub fn is_here(shard: i64) -> bool {
    let (Some(catalog), Some(here)) = (member(catalog::PLACEMENTS), local_group()) else {
        return false;
    };
    let key = int8_key(catalog::PLACEMENT_SHARD, shard);
    let mut found = false;
    catalog_scan::each_tuple(catalog, &[key], |_, tuple| {
        // SAFETY: a row of the table, all of whose columns have a fixed length.
        let row = unsafe { &*pg_sys::GETSTRUCT(tuple).cast_const().cast::<PlacementRow>() };
        debug_assert!(row.shard == shard && row.id > 0 && row.length >= 0 && row.state >= 0);
        found = row.group == here;
        !found
    });
    found
}

/// The relation in which this node keeps a shard of a table; `None` where it has none.
pub fn relation_of(table: pg_sys::Oid, shard: i64) -> Result<Option<pg_sys::Oid>> {
    let (Some(schema), Some(plain)) = (name::namespace_of(table), name::relation_name(table))
    else {
        return Ok(None);
    };
    name::relation_in(schema, &shard_name::of(&plain, shard)?)
}

/// The relation in which this node keeps the rows of a table that has a single shard, if it does.
pub fn local_copy(table: pg_sys::Oid) -> Result<Option<pg_sys::Oid>> {
    match shards(table).as_slice() {
        [shard] if is_here(shard.id) => relation_of(table, shard.id),
        _ => Ok(None),
    }
}

/// The group of nodes that this one belongs to.
fn local_group() -> Option<i32> {
    let mut found = None;
    catalog_scan::each_tuple(member(catalog::LOCAL_GROUP)?, &[], |_, tuple| {
        // SAFETY: the table has one column, an integer.
        found = Some(unsafe { *pg_sys::GETSTRUCT(tuple).cast_const().cast::<i32>() });
        false
    });
    found
}

/// The attribute number of a column as Citus stores it: a `Var`, as text.
fn attribute_number(stored: &str) -> Option<i16> {
    let stored = name::c_string(stored).ok()?;
    // SAFETY: a node that the server has printed.
    let node = unsafe { pg_sys::stringToNode(stored.as_ptr()) };
    let column: NodeOf<pg_sys::Var> = Node::new(node).and_then(Node::cast)?;
    Some(column.varattno)
}

/// The value of a column that is found by its name: versions of Citus have dropped and added some.
fn value(desc: pg_sys::TupleDesc, tuple: pg_sys::HeapTuple, column: &str) -> Option<pg_sys::Datum> {
    let is_it = |attribute: &pg_sys::FormData_pg_attribute| {
        !attribute.attisdropped && attribute_name(attribute).to_bytes() == column.as_bytes()
    };
    let attnum = attributes(desc).iter().find(|a| is_it(a))?.attnum;
    let mut is_null = false;
    // SAFETY: the tuple has the row type, which has this column.
    let value = unsafe { pg_sys::heap_getattr(tuple, attnum.into(), desc, &mut is_null) };
    (!is_null).then_some(value)
}

fn text(desc: pg_sys::TupleDesc, tuple: pg_sys::HeapTuple, column: &str) -> Option<String> {
    let value = value(desc, tuple, column)?;
    // SAFETY: the column has the type text.
    unsafe { String::from_datum(value, false) }
}

/// A table of the extension's catalog. A table of that name counts only as a member of the extension.
fn member(table: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: look-ups in the system catalogs by NUL-terminated names.
    unsafe {
        let extension = pg_sys::get_extension_oid(EXTENSION.as_ptr(), true);
        if extension == pg_sys::InvalidOid {
            return None;
        }
        let schema = pg_sys::get_extension_schema(extension);
        let table = pg_sys::get_relname_relid(table.as_ptr(), schema);
        let is_member = table != pg_sys::InvalidOid
            && pg_sys::getExtensionOfObject(pg_sys::RelationRelationId, table) == extension;
        is_member.then_some(table)
    }
}

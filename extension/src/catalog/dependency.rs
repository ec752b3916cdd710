//! Rows of `pgtrickle.pgt_dependencies`: which table is read by which stream table.

use pgrx::pg_sys;
use pgtrickle_dvm::frontier::Frontier;

use super::definitions::note_change;
use super::modes::RefreshMode;
use super::stream_table::{self, StreamTable};
use crate::error::Result;
use crate::pg::catalog_row::{Row, Value};
use crate::pg::catalog_table::{CatalogTable, Key};

const TABLE: &str = "pgt_dependencies";
const BY_ID: &str = "pgt_dependencies_pkey";
const BY_SOURCE: &str = "pgt_dependencies_source_idx";
const PGT_ID: usize = 1;
const SOURCE_RELID: usize = 2;
const COLUMNS: usize = 3;
const CAPTURE: usize = 4;
const FILES: usize = 5;

/// A table that a stream table reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The stream table.
    pub pgt_id: i64,
    /// The table it reads.
    pub source: pg_sys::Oid,
    /// Attribute numbers that it reads, ascending.
    pub columns: Vec<i16>,
    /// Whether it needs the table's changes.
    pub capture: bool,
    /// Which files of the table the content was read from; `None` if that is not known.
    pub files: Option<i64>,
}

/// A stream table that consumes a source's changes.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// The stream table.
    pub pgt_id: i64,
    /// What it has consumed; `None` when it has not been filled yet.
    pub frontier: Option<Frontier>,
    /// Attribute numbers that it reads.
    pub columns: Vec<i16>,
}

fn from_row(row: &Row) -> Result<Dependency> {
    Ok(Dependency {
        pgt_id: row.require(PGT_ID)?,
        source: row.require(SOURCE_RELID)?,
        columns: row.require(COLUMNS)?,
        capture: row.require(CAPTURE)?,
        files: row.get(FILES),
    })
}

fn find(index: Option<&'static str>, keys: &[(i16, Key)]) -> Result<Vec<Dependency>> {
    CatalogTable::open(TABLE)?.rows(index, keys, from_row)
}

/// The tables that a stream table reads.
pub fn dependencies(pgt_id: i64) -> Result<Vec<Dependency>> {
    find(Some(BY_ID), &[(PGT_ID as i16, Key::Int8(pgt_id))])
}

/// An IMMEDIATE stream table that reads a table.
#[derive(Debug, Clone)]
pub struct ImmediateReader {
    /// The stream table.
    pub table: StreamTable,
    /// Attribute numbers that it reads.
    pub columns: Vec<i16>,
}

/// The IMMEDIATE stream tables that read this table.
pub fn immediate_readers_of(source: pg_sys::Oid) -> Result<Vec<ImmediateReader>> {
    let mut readers = Vec::new();
    for dependency in find(Some(BY_SOURCE), &[(SOURCE_RELID as i16, Key::Oid(source))])? {
        if let Some(table) = stream_table::load(dependency.pgt_id)?
            && table.refresh_mode == RefreshMode::Immediate
        {
            readers.push(ImmediateReader {
                table,
                columns: dependency.columns,
            });
        }
    }
    Ok(readers)
}

/// Whether a stream table reads this table.
pub fn is_read(source: pg_sys::Oid) -> Result<bool> {
    Ok(!find(Some(BY_SOURCE), &[(SOURCE_RELID as i16, Key::Oid(source))])?.is_empty())
}

/// The stream tables that read this table and do not need its changes: those in FULL mode.
pub fn readers_in_full(source: pg_sys::Oid) -> Result<Vec<i64>> {
    let readers = find(Some(BY_SOURCE), &[(SOURCE_RELID as i16, Key::Oid(source))])?;
    let in_full = readers.iter().filter(|reader| !reader.capture);
    Ok(in_full.map(|reader| reader.pgt_id).collect())
}

/// The stream tables whose refreshes need this table's changes, with their latest committed frontier.
pub fn consumers_of(source: pg_sys::Oid) -> Result<Vec<Consumer>> {
    let mut consumers = Vec::new();
    for dependency in find(Some(BY_SOURCE), &[(SOURCE_RELID as i16, Key::Oid(source))])? {
        if dependency.capture {
            let table = stream_table::load(dependency.pgt_id)?;
            if table
                .as_ref()
                .is_some_and(|table| table.refresh_mode == RefreshMode::Immediate)
            {
                continue;
            }
            consumers.push(Consumer {
                pgt_id: dependency.pgt_id,
                frontier: table.and_then(|table| table.frontier),
                columns: dependency.columns,
            });
        }
    }
    Ok(consumers)
}

/// Every source whose changes some stream table needs, ascending.
pub fn sources() -> Result<Vec<pg_sys::Oid>> {
    let mut sources: Vec<_> = find(None, &[])?
        .into_iter()
        .filter(|dependency| dependency.capture)
        .map(|dependency| dependency.source)
        .collect();
    sources.sort_unstable_by_key(|oid| oid.to_u32());
    sources.dedup();
    Ok(sources)
}

/// Adds a dependency.
pub fn insert_dependency(dependency: &Dependency) -> Result<()> {
    note_change(dependency.pgt_id)?;
    CatalogTable::open_for_update(TABLE)?.insert(&[
        Value::of(dependency.pgt_id),
        Value::of(dependency.source),
        Value::of(dependency.columns.clone()),
        Value::of(dependency.capture),
        Value::of(dependency.files),
    ]);
    Ok(())
}

/// Stores which files of a table the content was read from. The caller holds the stream table's lock.
pub fn set_files(pgt_id: i64, source: pg_sys::Oid, files: i64) -> Result<()> {
    let key = [
        (PGT_ID as i16, Key::Int8(pgt_id)),
        (SOURCE_RELID as i16, Key::Oid(source)),
    ];
    let change = [(FILES, Value::of(files))];
    CatalogTable::open_for_update(TABLE)?.update(BY_ID, &key, &change)?;
    Ok(())
}

/// Removes what a stream table depends on, and returns it.
pub fn delete_dependencies(pgt_id: i64) -> Result<Vec<Dependency>> {
    note_change(pgt_id)?;
    let removed = dependencies(pgt_id)?;
    let key = [(PGT_ID as i16, Key::Int8(pgt_id))];
    CatalogTable::open_for_update(TABLE)?.delete(BY_ID, &key)?;
    Ok(removed)
}

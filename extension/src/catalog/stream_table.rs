//! Rows of `pgtrickle.pgt_stream_tables`.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use pgtrickle_dvm::frontier::Frontier;

use super::modes::{RefreshMode, RequestedMode, Status};
use crate::capability::{CITUS_SHARD_LOCAL, CITUS_TWO_STEPS};
use crate::error::{Error, Result};
use crate::pg::catalog_row::{Row, TextForm};
use crate::pg::catalog_table::{CatalogTable, Key, next_value, relid};
use crate::pg::cluster;
use crate::pg::lock::{Lockable, Mode};
use crate::pg::name;
use crate::pg::settings::Settings;

pub(super) const TABLE: &str = "pgt_stream_tables";
pub(super) const BY_ID: &str = "pgt_stream_tables_pkey";
const BY_RELID: &str = "pgt_stream_tables_relid_key";

/// Attribute numbers, in the order of `bootstrap.sql`.
pub(super) mod column {
    pub const PGT_ID: usize = 1;
    pub const PGT_RELID: usize = 2;
    pub const VIEW_RELID: usize = 3;
    pub const QUERY: usize = 4;
    pub const SCHEDULE: usize = 5;
    pub const REQUESTED_MODE: usize = 6;
    pub const REFRESH_MODE: usize = 7;
    pub const MODE_CODE: usize = 8;
    pub const MODE_REASON: usize = 9;
    pub const STATUS: usize = 10;
    pub const IS_POPULATED: usize = 11;
    pub const DEFINING_QUERY_HASH: usize = 12;
    pub const FRONTIER: usize = 13;
    pub const FRONTIER_XID: usize = 14;
    pub const FRONTIER_EPOCH: usize = 15;
    pub const SYSTEM_IDENTIFIER: usize = 16;
    pub const DATABASE_OID: usize = 17;
    pub const DATA_TIMESTAMP: usize = 18;
    pub const IS_POLLED: usize = 20;
    pub const DATA_LSN: usize = 21;
    pub const SETTINGS: usize = 22;
    pub const ZONE_RULES: usize = 23;
    pub const TABLE_OID: usize = 24;
}

/// A stream table. Its query text is read by [`query_of`].
#[derive(Debug, Clone)]
pub struct StreamTable {
    /// Identity; names of internal objects are made from it.
    pub pgt_id: i64,
    /// The table.
    pub relid: pg_sys::Oid,
    /// The internal view.
    pub view: pg_sys::Oid,
    /// When it is refreshed.
    pub schedule: String,
    /// The mode that was asked for.
    pub requested_mode: RequestedMode,
    /// The mode in use.
    pub refresh_mode: RefreshMode,
    /// The construct because of which an AUTO table is refreshed in FULL, or the one by which it is spread.
    pub mode_code: Option<String>,
    /// The same in words.
    pub mode_reason: Option<String>,
    /// Whether it is refreshed.
    pub status: Status,
    /// Whether it has been filled.
    pub is_populated: bool,
    /// Hash of the plan that the state belongs to.
    pub defining_query_hash: Option<i64>,
    /// What it contains.
    pub frontier: Option<Frontier>,
    /// Where its OIDs and its frontier mean something.
    pub home: Home,
    /// When its content was current.
    pub data_timestamp: Option<TimestampWithTimeZone>,
    /// Whether its content can change without a captured change of a source.
    pub is_polled: bool,
    /// The settings under which its query is read and runs; none in a catalog of a former version.
    pub settings: Settings,
    /// Hash of the rules of its time zone when all of it was last computed, if it depends on it.
    pub zone_rules: Option<i64>,
}

impl StreamTable {
    /// Qualified and quoted name of the table.
    pub fn qualified_name(&self) -> String {
        name::qualified_name(self.relid).unwrap_or_else(|| self.relid.to_string())
    }

    /// Plain name of the table, for messages.
    pub fn plain_name(&self) -> String {
        name::relation_name(self.relid).unwrap_or_else(|| self.relid.to_string())
    }

    /// Whether it is kept by the nodes of a cluster, which have its shards.
    pub fn is_spread(&self) -> bool {
        self.mode_code.as_deref() == Some(CITUS_SHARD_LOCAL.code)
    }

    /// Whether nodes of a cluster keep a part of it.
    pub fn is_in_two_steps(&self) -> bool {
        self.mode_code.as_deref() == Some(CITUS_TWO_STEPS.code)
    }

    /// Refuses a stream table that a restore has brought here and that has not been rebuilt.
    pub fn require_home(&self) -> Result<()> {
        if self.home == Home::of(self.relid) {
            Ok(())
        } else {
            Err(Error::NotRestored(self.plain_name()))
        }
    }
}

/// A cluster, a database, and a table in it. A restore brings the number of a table, but never the table with that number:
/// that tells a dump that has come back to its own database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    pub(super) system_identifier: i64,
    pub(super) database: pg_sys::Oid,
    pub(super) table: pg_sys::Oid,
}

impl Home {
    /// That of a table in the database of this session.
    pub fn of(table: pg_sys::Oid) -> Self {
        Home {
            system_identifier: cluster::system_identifier(),
            database: cluster::database(),
            table,
        }
    }
}

fn from_row(row: &Row) -> Result<StreamTable> {
    let frontier = match row.text(column::FRONTIER, TextForm::Snapshot) {
        None => None,
        Some(snapshot) => {
            let xid: i64 = row.require(column::FRONTIER_XID)?;
            let epoch = row.require(column::FRONTIER_EPOCH)?;
            let frontier = Frontier::parse(&snapshot, xid.cast_unsigned(), epoch)
                .map_err(|error| Error::Internal(error.to_string()))?;
            Some(frontier)
        }
    };
    let relid = row.require(column::PGT_RELID)?;
    Ok(StreamTable {
        pgt_id: row.require(column::PGT_ID)?,
        relid,
        view: row.require(column::VIEW_RELID)?,
        schedule: row.require(column::SCHEDULE)?,
        requested_mode: row.require::<&str>(column::REQUESTED_MODE)?.parse()?,
        refresh_mode: row.require::<&str>(column::REFRESH_MODE)?.parse()?,
        mode_code: row.get(column::MODE_CODE),
        mode_reason: row.get(column::MODE_REASON),
        status: row.require::<&str>(column::STATUS)?.parse()?,
        is_populated: row.require(column::IS_POPULATED)?,
        defining_query_hash: row.get(column::DEFINING_QUERY_HASH),
        frontier,
        home: Home {
            system_identifier: row.require(column::SYSTEM_IDENTIFIER)?,
            database: row.require(column::DATABASE_OID)?,
            // A catalog of a former version does not have it.
            table: row.get(column::TABLE_OID).unwrap_or(relid),
        },
        data_timestamp: row.get(column::DATA_TIMESTAMP),
        is_polled: row.require(column::IS_POLLED)?,
        settings: Settings::from_items(
            &row.get::<Vec<String>>(column::SETTINGS).unwrap_or_default(),
        ),
        zone_rules: row.get(column::ZONE_RULES),
    })
}

thread_local! {
    /// Where this session last saw the row of each stream table.
    static PLACES: RefCell<HashMap<i64, pg_sys::ItemPointerData>> = RefCell::default();
}

pub(super) fn known_place(pgt_id: i64) -> Option<pg_sys::ItemPointerData> {
    PLACES.with_borrow(|places| places.get(&pgt_id).copied())
}

pub(super) fn note_place(pgt_id: i64, place: pg_sys::ItemPointerData) {
    PLACES.with_borrow_mut(|places| places.insert(pgt_id, place));
}

pub(super) fn is_of(row: &Row, pgt_id: i64) -> bool {
    row.get(column::PGT_ID) == Some(pgt_id)
}

fn find(index: &'static str, attnum: usize, key: Key) -> Result<Option<StreamTable>> {
    let mut found = None;
    CatalogTable::open(TABLE)?.visit(Some(index), &[(attnum as i16, key)], |row| {
        note_place(row.require(column::PGT_ID)?, row.place());
        found = Some(from_row(row)?);
        Ok(())
    })?;
    Ok(found)
}

/// The stream table with this id, as last committed or written by this transaction.
pub fn load(pgt_id: i64) -> Result<Option<StreamTable>> {
    if let Some(place) = known_place(pgt_id) {
        let read = |row: &Row| is_of(row, pgt_id).then(|| from_row(row)).transpose();
        if let Some(found) = CatalogTable::open(TABLE)?.at(place, read)?.flatten() {
            return Ok(Some(found));
        }
    }
    find(BY_ID, column::PGT_ID, Key::Int8(pgt_id))
}

/// The stream table with this id, which has to be there.
pub fn existing(pgt_id: i64) -> Result<StreamTable> {
    load(pgt_id)?.ok_or(Error::Vanished)
}

/// The id of the stream table that this table is.
pub(super) fn find_id(relid: pg_sys::Oid) -> Result<Option<i64>> {
    let mut found = None;
    let key = [(column::PGT_RELID as i16, Key::Oid(relid))];
    CatalogTable::open(TABLE)?.visit(Some(BY_RELID), &key, |row| {
        found = Some(row.require(column::PGT_ID)?);
        Ok(())
    })?;
    Ok(found)
}

/// The stream table that this table is.
pub fn load_by_relid(relid: pg_sys::Oid) -> Result<Option<StreamTable>> {
    find(BY_RELID, column::PGT_RELID, Key::Oid(relid))
}

/// Whether the relation is a stream table.
pub fn is_stream_table(relid: pg_sys::Oid) -> Result<bool> {
    Ok(find_id(relid)?.is_some())
}

/// Shows id and mode of every stream table.
pub(super) fn visit_modes(visit: &mut dyn FnMut(i64, RefreshMode)) -> Result<()> {
    CatalogTable::open(TABLE)?.visit(None, &[], |row| {
        let mode = row.require::<&str>(column::REFRESH_MODE)?.parse()?;
        visit(row.require(column::PGT_ID)?, mode);
        Ok(())
    })
}

/// The ids of all stream tables.
pub fn ids() -> Result<BTreeSet<i64>> {
    let mut ids = BTreeSet::new();
    visit_modes(&mut |pgt_id, _| {
        ids.insert(pgt_id);
    })?;
    Ok(ids)
}

/// Every stream table, by rising id.
pub fn all() -> Result<Vec<StreamTable>> {
    let mut tables = CatalogTable::open(TABLE)?.rows(None, &[], from_row)?;
    tables.sort_by_key(|table| table.pgt_id);
    Ok(tables)
}

/// The query as the user gave it.
pub fn query_of(pgt_id: i64) -> Result<Option<String>> {
    let mut found = None;
    let key = [(column::PGT_ID as i16, Key::Int8(pgt_id))];
    CatalogTable::open(TABLE)?.visit(Some(BY_ID), &key, |row| {
        found = row.get(column::QUERY);
        Ok(())
    })?;
    Ok(found)
}

/// Whether there is a catalog: not while the extension is being dropped.
pub fn exists() -> bool {
    relid(TABLE).is_ok()
}

/// A fresh id.
pub fn new_id() -> Result<i64> {
    next_value("pgt_stream_tables_pgt_id_seq")
}

/// Takes the lock that makes refreshes and changes of a stream table exclude each other, to the end
/// of the transaction. Readers do not meet it.
pub fn lock(pgt_id: i64) -> Result<()> {
    lock_as(pgt_id, Mode::Exclusive)
}

/// Takes the same lock in this mode: [`Mode::Shared`] is for transactions that have a stream table follow
/// row by row.
pub fn lock_as(pgt_id: i64, mode: Mode) -> Result<()> {
    let table = Lockable {
        class: relid(TABLE)?,
        object: pgt_id as u32,
        part: 0,
    };
    table.lock(mode);
    Ok(())
}

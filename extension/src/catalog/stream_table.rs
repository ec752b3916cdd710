//! Rows of `pgtrickle.pgt_stream_tables`.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use pgtrickle_dvm::frontier::Frontier;

use super::definitions::note_change;
use super::modes::{RefreshMode, RequestedMode, Status};
use crate::capability::{CITUS_SHARD_LOCAL, CITUS_TWO_STEPS};
use crate::error::{Error, Result};
use crate::pg::catalog_table::{CatalogTable, Key, Row, TextForm, Value, next_value, relid};
use crate::pg::cluster::{self, Moment};
use crate::pg::lock::{Lockable, Mode};
use crate::pg::name;
use crate::pg::settings::Settings;

const TABLE: &str = "pgt_stream_tables";
const BY_ID: &str = "pgt_stream_tables_pkey";
const BY_RELID: &str = "pgt_stream_tables_relid_key";

/// Attribute numbers, in the order of `bootstrap.sql`.
mod column {
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
    /// Cluster and database in which its OIDs and its frontier mean something.
    pub home: (i64, pg_sys::Oid),
    /// When its content was current.
    pub data_timestamp: Option<TimestampWithTimeZone>,
    /// Whether its content can change without a captured change of a source.
    pub is_polled: bool,
    /// The settings under which its query is read and runs; none in a catalog of a former version.
    pub settings: Settings,
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
        if self.home == home() {
            Ok(())
        } else {
            Err(Error::NotRestored(self.plain_name()))
        }
    }
}

/// Cluster and database of this session, as stored in [`StreamTable::home`].
pub fn home() -> (i64, pg_sys::Oid) {
    (cluster::system_identifier(), cluster::database())
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
    Ok(StreamTable {
        pgt_id: row.require(column::PGT_ID)?,
        relid: row.require(column::PGT_RELID)?,
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
        home: (
            row.require(column::SYSTEM_IDENTIFIER)?,
            row.require(column::DATABASE_OID)?,
        ),
        data_timestamp: row.get(column::DATA_TIMESTAMP),
        is_polled: row.require(column::IS_POLLED)?,
        settings: Settings::from_items(
            &row.get::<Vec<String>>(column::SETTINGS).unwrap_or_default(),
        ),
    })
}

thread_local! {
    /// Where this session last saw the row of each stream table.
    static PLACES: RefCell<HashMap<i64, pg_sys::ItemPointerData>> = RefCell::default();
}

fn known_place(pgt_id: i64) -> Option<pg_sys::ItemPointerData> {
    PLACES.with_borrow(|places| places.get(&pgt_id).copied())
}

fn note_place(pgt_id: i64, place: pg_sys::ItemPointerData) {
    PLACES.with_borrow_mut(|places| places.insert(pgt_id, place));
}

fn is_of(row: &Row, pgt_id: i64) -> bool {
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

/// Adds a stream table. `query` is the text as given.
pub fn insert(table: &StreamTable, query: &str) -> Result<()> {
    let values = [
        Value::of(table.pgt_id),
        Value::of(table.relid),
        Value::of(table.view),
        Value::of(query),
        Value::of(table.schedule.as_str()),
        Value::of(table.requested_mode.name()),
        Value::of(table.refresh_mode.name()),
        Value::of(table.mode_code.as_deref()),
        Value::of(table.mode_reason.as_deref()),
        Value::of(table.status.name()),
        Value::of(table.is_populated),
        Value::of(table.defining_query_hash),
        Value::null(),
        Value::null(),
        Value::null(),
        Value::of(table.home.0),
        Value::of(table.home.1),
        Value::null(),
        Value::of(cluster::now()),
        Value::of(table.is_polled),
        Value::null(),
        Value::of(table.settings.items()),
    ];
    debug_assert_eq!(values.len(), column::SETTINGS);
    note_change(table.pgt_id)?;
    CatalogTable::open_for_update(TABLE)?.insert(&values);
    Ok(())
}

/// Changes what the scheduler goes by.
fn redefine(pgt_id: i64, changes: &[(usize, Value)]) -> Result<()> {
    note_change(pgt_id)?;
    update(pgt_id, changes)
}

fn update(pgt_id: i64, changes: &[(usize, Value)]) -> Result<()> {
    let table = CatalogTable::open_for_update(TABLE)?;
    let is_meant = |row: &Row| is_of(row, pgt_id);
    let updated = known_place(pgt_id).and_then(|at| table.update_at(at, is_meant, changes));
    if let Some(place) = updated {
        note_place(pgt_id, place);
        return Ok(());
    }
    let key = [(column::PGT_ID as i16, Key::Int8(pgt_id))];
    match table.update(BY_ID, &key, changes)? {
        1 => Ok(()),
        _ => Err(Error::Internal(format!(
            "stream table {pgt_id} has no catalog row"
        ))),
    }
}

/// Records the outcome of a refresh: what the table now contains, since when, and under which plan.
pub fn store_frontier(
    pgt_id: i64,
    frontier: Option<&Frontier>,
    is_populated: bool,
    defining_query_hash: Option<i64>,
    current: &Moment,
) -> Result<()> {
    let snapshot = match frontier {
        None => Value::null(),
        Some(frontier) => Value::parse(&frontier.to_string(), TextForm::Snapshot)?,
    };
    update(
        pgt_id,
        &[
            (column::IS_POPULATED, Value::of(is_populated)),
            (column::DEFINING_QUERY_HASH, Value::of(defining_query_hash)),
            (column::FRONTIER, snapshot),
            (
                column::FRONTIER_XID,
                Value::of(frontier.map(|f| f.own_xid().cast_signed())),
            ),
            (
                column::FRONTIER_EPOCH,
                Value::of(frontier.map(Frontier::own_epoch)),
            ),
            (column::DATA_TIMESTAMP, Value::of(current.time)),
            (column::DATA_LSN, Value::lsn(current.lsn)),
        ],
    )
}

/// Stores another schedule.
pub fn set_schedule(pgt_id: i64, schedule: &str) -> Result<()> {
    redefine(pgt_id, &[(column::SCHEDULE, Value::of(schedule))])
}

/// Stores whether the content can change without a captured change of a source.
pub fn set_polled(pgt_id: i64, is_polled: bool) -> Result<()> {
    redefine(pgt_id, &[(column::IS_POLLED, Value::of(is_polled))])
}

/// Stores another status.
pub fn set_status(pgt_id: i64, status: Status) -> Result<()> {
    redefine(pgt_id, &[(column::STATUS, Value::of(status.name()))])
}

/// Stores other settings.
pub fn set_settings(pgt_id: i64, settings: &Settings) -> Result<()> {
    redefine(pgt_id, &[(column::SETTINGS, Value::of(settings.items()))])
}

/// Stores another query and its view.
pub fn set_definition(pgt_id: i64, view: pg_sys::Oid, query: &str) -> Result<()> {
    redefine(
        pgt_id,
        &[
            (column::VIEW_RELID, Value::of(view)),
            (column::QUERY, Value::of(query)),
        ],
    )
}

/// Stores which mode was asked for, which is used, and why.
pub fn set_mode(
    pgt_id: i64,
    requested: RequestedMode,
    used: RefreshMode,
    why: Option<(&str, &str)>,
) -> Result<()> {
    redefine(
        pgt_id,
        &[
            (column::REQUESTED_MODE, Value::of(requested.name())),
            (column::REFRESH_MODE, Value::of(used.name())),
            (column::MODE_CODE, Value::of(why.map(|w| w.0))),
            (column::MODE_REASON, Value::of(why.map(|w| w.1))),
        ],
    )
}

/// Forgets the plan that the state belongs to, so that the next refresh rebuilds everything.
pub fn forget_plan(pgt_id: i64) -> Result<()> {
    redefine(pgt_id, &[(column::DEFINING_QUERY_HASH, Value::null())])
}

/// Makes this cluster and database the home of a restored stream table; it counts as empty.
pub fn set_home(pgt_id: i64) -> Result<()> {
    let (system_identifier, database) = home();
    redefine(
        pgt_id,
        &[
            (column::SYSTEM_IDENTIFIER, Value::of(system_identifier)),
            (column::DATABASE_OID, Value::of(database)),
            (column::IS_POPULATED, Value::of(false)),
            (column::DEFINING_QUERY_HASH, Value::null()),
            (column::FRONTIER, Value::null()),
            (column::FRONTIER_XID, Value::null()),
            (column::FRONTIER_EPOCH, Value::null()),
        ],
    )
}

/// Removes a stream table. `false` when there was none.
pub fn delete(pgt_id: i64) -> Result<bool> {
    let key = [(column::PGT_ID as i16, Key::Int8(pgt_id))];
    note_change(pgt_id)?;
    Ok(CatalogTable::open_for_update(TABLE)?.delete(BY_ID, &key)? > 0)
}

//! Changing rows of `pgtrickle.pgt_stream_tables`.

use pgrx::pg_sys;
use pgtrickle_dvm::frontier::Frontier;

use super::definitions::note_change;
use super::modes::{RefreshMode, RequestedMode, Status};
use super::stream_table::{
    BY_ID, Home, StreamTable, TABLE, column, is_of, known_place, note_place,
};
use crate::error::{Error, Result};
use crate::pg::catalog_row::{Row, TextForm, Value};
use crate::pg::catalog_table::{CatalogTable, Key};
use crate::pg::cluster::{self, Moment};
use crate::pg::settings::Settings;

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
        Value::of(table.home.system_identifier),
        Value::of(table.home.database),
        Value::null(),
        Value::of(cluster::now()),
        Value::of(table.is_polled),
        Value::null(),
        Value::of(table.settings.items()),
        Value::of(table.zone_rules),
        Value::of(table.home.table),
    ];
    debug_assert_eq!(values.len(), column::TABLE_OID);
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
        _ => Err(Error::Vanished),
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

/// Stores by which rules of its time zone all was computed.
pub fn set_zone_rules(pgt_id: i64, rules: Option<i64>) -> Result<()> {
    update(pgt_id, &[(column::ZONE_RULES, Value::of(rules))])
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

/// Gives a restored stream table its home; it counts as empty.
pub fn set_home(pgt_id: i64, home: Home) -> Result<()> {
    redefine(
        pgt_id,
        &[
            (column::SYSTEM_IDENTIFIER, Value::of(home.system_identifier)),
            (column::DATABASE_OID, Value::of(home.database)),
            (column::TABLE_OID, Value::of(home.table)),
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

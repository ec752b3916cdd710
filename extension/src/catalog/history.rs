//! Rows of `pgtrickle.pgt_refresh_history`.

use pgrx::datum::TimestampWithTimeZone;

use super::action::{Action, Reason};
use crate::error::Result;
use crate::pg::catalog_row::Value;
use crate::pg::catalog_table::{CatalogTable, Key, next_value};

const TABLE: &str = "pgt_refresh_history";
const BY_TABLE: &str = "pgt_refresh_history_pkey";
const PGT_ID: i16 = 2;
const ACTION: usize = 3;
const REASON: usize = 4;
const DURATION_MS: usize = 7;
const DELTA_ROWS: usize = 11;
const STATUS: usize = 12;
const COMPLETED: &str = "COMPLETED";

/// One refresh that did something.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// The stream table.
    pub pgt_id: i64,
    /// What was done.
    pub action: Action,
    /// Why it was that and not a matter of deltas.
    pub reason: Option<Reason>,
    /// When it began.
    pub started_at: TimestampWithTimeZone,
    /// When it was done, apart from the commit.
    pub finished_at: TimestampWithTimeZone,
    /// The time in between, by a monotonic clock.
    pub duration_ms: f64,
    /// Rows inserted into the stream table.
    pub rows_inserted: i64,
    /// Rows updated.
    pub rows_updated: i64,
    /// Rows deleted.
    pub rows_deleted: i64,
    /// Change rows read from the sources, or, of those that a recomputation for cost has not read, about how many there
    /// were.
    pub delta_rows: i64,
    /// SQLSTATE and name of the error of a failed refresh.
    pub error: Option<String>,
}

/// Adds a row.
pub fn insert_history(row: &HistoryRow) -> Result<()> {
    let status = if row.error.is_none() {
        COMPLETED
    } else {
        "FAILED"
    };
    CatalogTable::open_for_update(TABLE)?.insert(&[
        Value::of(next_value("pgt_refresh_history_history_id_seq")?),
        Value::of(row.pgt_id),
        Value::of(row.action.name()),
        Value::of(row.reason.as_ref().map(Reason::name)),
        Value::of(row.started_at),
        Value::of(row.finished_at),
        Value::of(row.duration_ms),
        Value::of(row.rows_inserted),
        Value::of(row.rows_updated),
        Value::of(row.rows_deleted),
        Value::of(row.delta_rows),
        Value::of(status),
        Value::of(row.error.as_deref()),
    ]);
    Ok(())
}

/// What a successful refresh of the past did, and how long that took.
#[derive(Debug, Clone, PartialEq)]
pub struct PastRefresh {
    /// Name of the action.
    pub action: String,
    /// Name of the reason.
    pub reason: Option<String>,
    /// Change rows that there were, or about how many.
    pub delta_rows: u64,
    /// How long it took.
    pub duration_ms: f64,
}

/// The successful refreshes of a stream table of which the history has a row, oldest first.
pub fn past_refreshes(pgt_id: i64) -> Result<Vec<PastRefresh>> {
    let mut found = Vec::new();
    let key = [(PGT_ID, Key::Int8(pgt_id))];
    CatalogTable::open(TABLE)?.visit(Some(BY_TABLE), &key, |row| {
        if row.get::<&str>(STATUS) == Some(COMPLETED) {
            found.push(PastRefresh {
                action: row.require(ACTION)?,
                reason: row.get(REASON),
                delta_rows: row.require::<i64>(DELTA_ROWS)?.cast_unsigned(),
                duration_ms: row.require(DURATION_MS)?,
            });
        }
        Ok(())
    })?;
    Ok(found)
}

/// Removes the history of a stream table.
pub fn delete_history(pgt_id: i64) -> Result<()> {
    let key = [(PGT_ID, Key::Int8(pgt_id))];
    CatalogTable::open_for_update(TABLE)?.delete(BY_TABLE, &key)?;
    Ok(())
}

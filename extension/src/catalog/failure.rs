//! Rows of `pgtrickle.pgt_failures`: one for each stream table whose last scheduled refresh failed.
//! Not public, since a message may show data.

use pgrx::datum::TimestampWithTimeZone;

use crate::error::Result;
use crate::pg::catalog_row::{Row, Value};
use crate::pg::catalog_table::{CatalogTable, Key};
use crate::shmem::notes;

const TABLE: &str = "pgt_failures";
const BY_ID: &str = "pgt_failures_pkey";
const PGT_ID: usize = 1;
const CONSECUTIVE_ERRORS: usize = 2;
const CONDITION: usize = 3;
const MESSAGE: usize = 4;
const FAILED_AT: usize = 5;
const RETRY_AT: usize = 6;
const IS_FUSE: usize = 7;
const IS_APPROVED: usize = 8;

/// How the refreshes of a stream table have failed since the last one that did not.
#[derive(Debug, Clone)]
pub struct FailureRow {
    /// The stream table.
    pub pgt_id: i64,
    /// How often in a row.
    pub consecutive_errors: i32,
    /// SQLSTATE and condition of the last error.
    pub condition: String,
    /// Its message.
    pub message: String,
    /// When it happened.
    pub failed_at: TimestampWithTimeZone,
    /// When it is tried again.
    pub retry_at: TimestampWithTimeZone,
    /// Whether it was the fuse.
    pub is_fuse: bool,
    /// Whether a user has let the changes through the fuse.
    pub is_approved: bool,
}

fn from_row(row: &Row) -> Result<FailureRow> {
    Ok(FailureRow {
        pgt_id: row.require(PGT_ID)?,
        consecutive_errors: row.require(CONSECUTIVE_ERRORS)?,
        condition: row.require(CONDITION)?,
        message: row.require(MESSAGE)?,
        failed_at: row.require(FAILED_AT)?,
        retry_at: row.require(RETRY_AT)?,
        is_fuse: row.require(IS_FUSE)?,
        is_approved: row.require(IS_APPROVED)?,
    })
}

fn find(index: Option<&'static str>, keys: &[(i16, Key)]) -> Result<Vec<FailureRow>> {
    CatalogTable::open(TABLE)?.rows(index, keys, from_row)
}

fn key(pgt_id: i64) -> [(i16, Key); 1] {
    [(PGT_ID as i16, Key::Int8(pgt_id))]
}

/// How a stream table fails; `None` if it does not.
pub fn failure(pgt_id: i64) -> Result<Option<FailureRow>> {
    let table = CatalogTable::open(TABLE)?;
    // As a rule nothing fails, and each refresh asks.
    if table.has_no_pages() {
        return Ok(None);
    }
    Ok(table.rows(Some(BY_ID), &key(pgt_id), from_row)?.pop())
}

/// All that fail.
pub fn failures() -> Result<Vec<FailureRow>> {
    find(None, &[])
}

/// Stores how a stream table fails, in the place of what was there.
pub fn set_failure(row: &FailureRow) -> Result<()> {
    let table = CatalogTable::open_for_update(TABLE)?;
    table.delete(BY_ID, &key(row.pgt_id))?;
    table.insert(&[
        Value::of(row.pgt_id),
        Value::of(row.consecutive_errors),
        Value::of(row.condition.as_str()),
        Value::of(row.message.as_str()),
        Value::of(row.failed_at),
        Value::of(row.retry_at),
        Value::of(row.is_fuse),
        Value::of(row.is_approved),
    ]);
    notes::changed(row.pgt_id);
    Ok(())
}

/// It no longer fails.
pub fn clear_failure(pgt_id: i64) -> Result<()> {
    if failure(pgt_id)?.is_some() {
        CatalogTable::open_for_update(TABLE)?.delete(BY_ID, &key(pgt_id))?;
        notes::changed(pgt_id);
    }
    Ok(())
}

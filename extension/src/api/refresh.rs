//! Refreshing on demand.
//!
//! The result is one row of a named type, which is cheaper to plan and fetch than a set of rows.

use pgrx::{IntoDatum, pg_sys};

use super::{answer, argument, change};
use crate::catalog::{self, Reason};
use crate::error::{Error, Result, SpreadError};
use crate::pg::fmgr::Call;
use crate::pg::transaction;
use crate::refresh::{self, Request};

crate::sql_function! {
    /// `pgtrickle.refresh_stream_table(name text, force_full boolean) RETURNS pgtrickle.refresh_result`.
    fn pgtrickle_refresh_stream_table, pg_finfo_pgtrickle_refresh_stream_table, refresh_stream_table
}

pgrx::extension_sql!(
    r#"
CREATE TYPE pgtrickle.refresh_result AS (
    action text,
    reason text,
    rows_inserted bigint,
    rows_updated bigint,
    rows_deleted bigint,
    delta_rows bigint,
    duration_ms double precision
);
COMMENT ON TYPE pgtrickle.refresh_result IS 'what a refresh did';
CREATE FUNCTION pgtrickle.refresh_stream_table(name text, force_full boolean DEFAULT false)
    RETURNS pgtrickle.refresh_result
    LANGUAGE c AS 'MODULE_PATHNAME', 'pgtrickle_refresh_stream_table';
"#,
    name = "refresh_stream_table"
);

crate::sql_function! {
    /// The same as version 0.1.0 declares it, which only refuses.
    fn refresh_stream_table_wrapper, pg_finfo_refresh_stream_table_wrapper, before_update
}

pub(super) fn before_update(_call: &Call) -> pg_sys::Datum {
    answer(|| {
        let what = "this declaration is of version 0.1.0";
        Err(Error::Internal(what.into()))
    })
}

fn refresh_stream_table(call: &Call) -> pg_sys::Datum {
    change(c"refresh_stream_table()", || refreshed(call))
}

/// Refuses what other nodes would do in transactions of their own.
fn require_here(pgt_id: i64) -> Result<()> {
    match catalog::load(pgt_id)? {
        Some(table) if table.is_spread() || table.is_in_two_steps() => {
            Err(SpreadError::InBlock(table.plain_name()).into())
        }
        _ => Ok(()),
    }
}

fn refreshed(call: &Call) -> Result<pg_sys::Datum> {
    let name = call.text(0);
    let request = Request {
        force_full: call.boolean(1).unwrap_or(false),
        ..Default::default()
    };
    let pgt_id = argument::maintained(name)?;
    if transaction::is_block() {
        require_here(pgt_id)?;
    }
    let outcome = refresh::run(pgt_id, request)?;
    call.row(&[
        outcome.action.name().into_datum(),
        outcome.reason.as_ref().map(Reason::name).into_datum(),
        outcome.counts.inserted.cast_signed().into_datum(),
        outcome.counts.updated.cast_signed().into_datum(),
        outcome.counts.deleted.cast_signed().into_datum(),
        outcome.delta_rows.cast_signed().into_datum(),
        outcome.duration_ms.into_datum(),
    ])
}

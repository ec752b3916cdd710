//! Refreshing on demand.

use pgrx::prelude::*;

use super::argument;
use crate::error::or_report;
use crate::refresh::{self, Request};

/// Brings a stream table up to date and says what that took.
#[pg_extern(schema = "pgtrickle")]
#[allow(clippy::type_complexity, reason = "the columns of the result")]
fn refresh_stream_table(
    name: Option<&str>,
    force_full: default!(Option<bool>, "false"),
) -> TableIterator<
    'static,
    (
        name!(action, String),
        name!(reason, Option<String>),
        name!(rows_inserted, i64),
        name!(rows_updated, i64),
        name!(rows_deleted, i64),
        name!(delta_rows, i64),
        name!(duration_ms, f64),
    ),
> {
    let outcome = or_report((|| {
        let pgt_id = argument::maintained(name)?;
        let request = Request {
            force_full: force_full.unwrap_or(false),
            ..Default::default()
        };
        refresh::run(pgt_id, request)
    })());
    TableIterator::once((
        outcome.action.to_owned(),
        outcome.reason,
        outcome.counts.inserted.cast_signed(),
        outcome.counts.updated.cast_signed(),
        outcome.counts.deleted.cast_signed(),
        outcome.delta_rows.cast_signed(),
        outcome.duration_ms,
    ))
}

//! SQL-callable functions: they check arguments and privileges, then make one call down.
//!
//! Privileges are those of a materialized view: creating needs CREATE on the schema; changing and dropping,
//! ownership; refreshing, ownership or MAINTAIN; looking, SELECT on the table.

#![allow(clippy::type_complexity, reason = "the columns of results")]

mod argument;
mod control;
mod inspect;
mod manage;
mod monitor;
mod refresh;
mod shards;

use std::ffi::CStr;

use crate::catalog;
use crate::error::{Result, or_report};
use crate::pg::utility;

/// What a function over stream tables returns, or its error raised. None of them works on a catalog of another
/// version.
fn answer<T>(work: impl FnOnce() -> Result<T>) -> T {
    or_report(catalog::require_current().and_then(|()| work()))
}

/// The same for a function that writes, which is told where nothing may be written.
fn change<T>(function: &CStr, work: impl FnOnce() -> Result<T>) -> T {
    utility::require_writes(function);
    answer(work)
}

pgrx::extension_sql_file!(
    "reports.sql",
    name = "reports",
    requires = [
        pgt_id_of,
        refresh_failures,
        refresh_shares,
        schedule_seconds,
        scheduler_state,
        stale_stream_tables
    ]
);
pgrx::extension_sql_file!("metrics.sql", name = "metrics", finalize);

/// Tells pgrx of the schema, which `bootstrap.sql` creates.
#[pgrx::pg_schema]
mod pgtrickle {}

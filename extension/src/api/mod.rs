//! SQL-callable functions: arguments and privileges are checked here, then one call goes down.
//!
//! Who may do what is as for a materialized view: a role may create in a schema where it may
//! create; changing and dropping is for the owner; refreshing also for those with MAINTAIN; looking
//! for those who may read the table.

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

//! Errors of the server that list objects, in words of which we leave some out.

use std::panic::AssertUnwindSafe;

use pgrx::PgLogLevel;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::prelude::PgTryBuilder;

use super::failure::throw_again;

/// What is told in place of a detail; `None` for all of it.
pub type Told = fn(&str) -> Option<String>;

/// Runs the work. An error of it is thrown again, with what `told` makes of its detail.
pub fn telling(told: Told, work: impl FnOnce()) {
    PgTryBuilder::new(AssertUnwindSafe(work))
        .catch_others(|error| match shown(&error, told) {
            Some(report) => report.report(PgLogLevel::ERROR),
            None => throw_again(error),
        })
        .execute();
}

fn shown(error: &CaughtError, told: Told) -> Option<ErrorReport> {
    let CaughtError::PostgresError(report) = error else {
        return None;
    };
    let detail = report.detail().and_then(told)?;
    let message = report.message().to_owned();
    let shown = ErrorReport::new(report.sql_error_code(), message, "pg_trickle").set_detail(detail);
    Some(match report.hint() {
        Some(hint) => shown.set_hint(hint),
        None => shown,
    })
}

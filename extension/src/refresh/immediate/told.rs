//! Telling a writer, whose statement does not name it, which stream table raised an error.

use crate::catalog::StreamTable;
use crate::error::Result;
use crate::pg::error_context::ErrorContext;
use crate::pg::name::c_string;

/// Does the work; its errors name the stream table.
pub(super) fn told_of<T>(table: &StreamTable, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let line = format!(
        "maintaining IMMEDIATE stream table \"{}\"",
        table.plain_name()
    );
    let line = c_string(&line)?;
    let context = ErrorContext::enter(&line);
    let outcome = work();
    if outcome.is_err() {
        context.stay();
    }
    outcome
}

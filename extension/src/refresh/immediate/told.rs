//! Telling a writer, whose statement does not name it, which stream table raised an error.

use crate::catalog::StreamTable;
use crate::error::Result;
use crate::pg::depend;
use crate::pg::error_context::ErrorContext;
use crate::pg::name::{self, c_string};

/// Does the work; its errors name the stream table.
pub(super) fn told_of<T>(table: &StreamTable, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let name = table.plain_name();
    let owner = depend::owner_of(table.relid).and_then(name::role);
    let owner = owner.unwrap_or_default();
    let context = ErrorContext::enter_with_denied(
        &c_string(&format!("maintaining IMMEDIATE stream table \"{name}\""))?,
        &c_string(&format!(
            "Stream table \"{name}\" is maintained with the privileges of its owner, role \"{owner}\"."
        ))?,
        &c_string(&format!(
            "Grant role \"{owner}\" what is missing, or stop maintaining it with pgtrickle.suspend_stream_table()."
        ))?,
    );
    let outcome = work();
    if outcome.is_err() {
        context.stay();
    }
    outcome
}

//! Messages to the client that are not errors.

use pgrx::PgLogLevel;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;

/// A NOTICE with a HINT.
pub fn notice(message: &str, hint: &str) {
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        message.to_owned(),
        "pg_trickle",
    )
    .set_hint(hint.to_owned())
    .report(PgLogLevel::NOTICE);
}

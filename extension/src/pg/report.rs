//! Messages to the client that are not errors.

use pgrx::PgLogLevel;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;

/// A NOTICE with DETAIL and HINT.
pub fn notice(message: &str, detail: Option<&str>, hint: Option<&str>) {
    let mut report = ErrorReport::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        message.to_owned(),
        "pg_trickle",
    );
    if let Some(detail) = detail {
        report = report.set_detail(detail.to_owned());
    }
    if let Some(hint) = hint {
        report = report.set_hint(hint.to_owned());
    }
    report.report(PgLogLevel::NOTICE);
}

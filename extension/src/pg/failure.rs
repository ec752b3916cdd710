//! An error that was caught: what the catalog and the log keep of it.

use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::CaughtError;

use crate::error::Error;

/// What is left of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The SQLSTATE in the server's encoding.
    code: i32,
    /// The name of the condition, in lower case.
    pub condition: String,
    /// The message, which may show data.
    pub message: String,
    /// Whether it was the fuse that stopped the work.
    pub is_fuse: bool,
}

/// Throws an error that `PgTryBuilder` has handed over. The server has forgotten it, so it is reported like one of
/// ours: `CaughtError::rethrow` would let the server look for it.
pub fn throw_again(error: CaughtError) -> ! {
    match error {
        CaughtError::PostgresError(report) => CaughtError::ErrorReport(report).rethrow(),
        other => other.rethrow(),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::of(&error)
    }
}

impl Failure {
    /// Of one of the extension's errors.
    pub fn of(error: &Error) -> Self {
        let mut message = error.to_string();
        if let Some(detail) = error.detail() {
            message.push_str(": ");
            message.push_str(&detail);
        }
        Failure {
            is_fuse: matches!(error, Error::FuseBlown { .. }),
            ..Self::new(error.sqlstate(), message)
        }
    }

    /// Of an error that was thrown.
    pub fn caught(error: &CaughtError) -> Self {
        match error {
            CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
                Self::new(report.sql_error_code(), report.message().to_owned())
            }
            CaughtError::RustPanic { ereport, .. } => Self::new(
                PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
                ereport.message().to_owned(),
            ),
        }
    }

    fn new(code: PgSqlErrorCode, message: String) -> Self {
        let condition = format!("{code:?}");
        let condition = condition.strip_prefix("ERRCODE_").unwrap_or(&condition);
        Failure {
            code: code as i32,
            condition: condition.to_ascii_lowercase(),
            message,
            is_fuse: false,
        }
    }

    /// The SQLSTATE.
    pub fn sqlstate(&self) -> String {
        (0..5)
            .map(|at| char::from(b'0' + ((self.code >> (6 * at)) & 0x3f) as u8))
            .collect()
    }

    /// SQLSTATE and condition: what everybody may see.
    pub fn label(&self) -> String {
        format!("{} {}", self.sqlstate(), self.condition)
    }

    /// Whether the same work may succeed at once: serialization failures and deadlocks.
    pub fn is_transient(&self) -> bool {
        self.sqlstate().starts_with("40")
    }

    /// Whether a lock was not to be had in time.
    pub fn is_lock_timeout(&self) -> bool {
        self.sqlstate() == "55P03"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_labelled_by_code_and_condition() {
        let failure = Failure::new(
            PgSqlErrorCode::ERRCODE_DIVISION_BY_ZERO,
            "division by zero".into(),
        );
        assert_eq!(failure.label(), "22012 division_by_zero");
        assert!(!failure.is_transient());
        let deadlock = Failure::new(PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED, String::new());
        assert!(deadlock.is_transient() && !deadlock.is_lock_timeout());
        let late = Failure::new(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, String::new());
        assert!(late.is_lock_timeout() && !late.is_transient());
    }
}

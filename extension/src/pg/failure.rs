//! An error that was caught, as the catalog and the log record it.

use pgrx::pg_sys::errcodes::PgSqlErrorCode;

use super::caught::Caught;
use crate::error::Error;

/// What is left of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The SQLSTATE in the server's encoding.
    code: i32,
    /// The name of the condition, in lower case; `user_defined` if the server has none for the SQLSTATE.
    pub condition: String,
    /// The message, which may show data.
    pub message: String,
    /// Whether it was the fuse that stopped the work.
    pub is_fuse: bool,
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
    pub fn caught(error: &Caught) -> Self {
        Self::of_code(error.code(), error.message().to_owned())
    }

    fn new(code: PgSqlErrorCode, message: String) -> Self {
        Self::of_code(code as i32, message)
    }

    fn of_code(code: i32, message: String) -> Self {
        let known = PgSqlErrorCode::from(code);
        let condition = match known as i32 == code {
            true => format!("{known:?}"),
            false => "user_defined".to_owned(),
        };
        let condition = condition.strip_prefix("ERRCODE_").unwrap_or(&condition);
        Failure {
            code,
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

    /// SQLSTATE and condition, which are public.
    pub fn label(&self) -> String {
        format!("{} {}", self.sqlstate(), self.condition)
    }

    /// Whether the same work may succeed at once: serialization failures and deadlocks.
    pub fn is_transient(&self) -> bool {
        self.sqlstate().starts_with("40")
    }

    /// Whether a relation was not there.
    pub fn is_of_missing_relation(&self) -> bool {
        self.sqlstate() == "42P01"
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

    #[test]
    fn a_code_that_the_server_does_not_know_stays() {
        let failure = Failure::of_code(('P' as i32 - '0' as i32) | (7 << 24), String::new());
        assert_eq!(failure.label(), "P0007 user_defined");
    }
}

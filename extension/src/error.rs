//! Every error of the extension, and the one place that turns them into `ereport`.

use pgrx::pg_sys::errcodes::PgSqlErrorCode;

/// An error with its SQLSTATE, primary message, DETAIL and HINT, in PostgreSQL's style.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An invariant of the extension itself is broken.
    #[error("{0}")]
    Internal(String),
    /// `VARIADIC array` was passed where single arguments are needed.
    #[error("function {0} cannot take its arguments as a VARIADIC array")]
    VariadicArray(&'static str),
}

/// Result with the extension's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The SQLSTATE.
    pub fn sqlstate(&self) -> PgSqlErrorCode {
        match self {
            Error::Internal(_) => PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            Error::VariadicArray(_) => PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        }
    }

    /// Facts that help to understand the error.
    pub fn detail(&self) -> Option<String> {
        match self {
            Error::Internal(_) => None,
            Error::VariadicArray(_) => {
                Some("An array has one type, a row's columns have many.".into())
            }
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Internal(_) => {
                Some("This is a bug in pg_trickle; please report it with the query.".into())
            }
            Error::VariadicArray(_) => Some("Pass the columns one by one.".into()),
        }
    }

    /// Raises the error in the server. Does not return.
    pub fn report(self) -> ! {
        let mut report =
            pgrx::pg_sys::panic::ErrorReport::new(self.sqlstate(), self.to_string(), "pg_trickle");
        if let Some(detail) = self.detail() {
            report = report.set_detail(detail);
        }
        if let Some(hint) = self.hint() {
            report = report.set_hint(hint);
        }
        report.report(pgrx::PgLogLevel::ERROR);
        unreachable!("an ERROR report does not return")
    }
}

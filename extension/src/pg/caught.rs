//! An error that was caught, to be told of or thrown again.

use pgrx::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::pg_sys::AsPgCStr;
use pgrx::pg_sys::panic::CaughtError;

/// An error that `PgTryBuilder` has handed over, with its SQLSTATE: `PgSqlErrorCode` knows only those of the server, and
/// functions of users raise others.
#[derive(Debug)]
pub struct Caught {
    error: CaughtError,
    code: i32,
    detail: Option<String>,
}

impl Caught {
    /// For the handler, at whose end the server forgets the error.
    pub fn of(error: CaughtError) -> Self {
        let (code, detail) = match &error {
            CaughtError::PostgresError(report) => {
                (code_in_the_server(), report.detail().map(str::to_owned))
            }
            CaughtError::ErrorReport(report)
            | CaughtError::RustPanic {
                ereport: report, ..
            } => (report.sql_error_code() as i32, None),
        };
        Caught {
            error,
            code,
            detail,
        }
    }

    /// The SQLSTATE in the server's encoding: six bits per character, from `0`.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// The message, which may show data.
    pub fn message(&self) -> &str {
        match &self.error {
            CaughtError::PostgresError(report)
            | CaughtError::ErrorReport(report)
            | CaughtError::RustPanic {
                ereport: report, ..
            } => report.message(),
        }
    }

    /// Says more in DETAIL of an error of the server.
    pub fn add_detail(&mut self, more: impl FnOnce(Option<&str>) -> String) {
        if matches!(self.error, CaughtError::PostgresError(_)) {
            self.detail = Some(more(self.detail.as_deref()));
        }
    }

    /// Throws it again. The server has forgotten its own, so it is told of it: `CaughtError::rethrow` would let the server
    /// look for it.
    pub fn throw(self) -> ! {
        let CaughtError::PostgresError(report) = &self.error else {
            self.error.rethrow();
        };
        let optional = |text: Option<&str>| text.map_or(std::ptr::null_mut(), |t| t.as_pg_cstr());
        let mut data = pg_sys::ErrorData {
            elevel: pgrx::PgLogLevel::ERROR as i32,
            sqlerrcode: self.code,
            message: report.message().as_pg_cstr(),
            detail: optional(self.detail.as_deref()),
            hint: optional(report.hint()),
            filename: report.file().as_pg_cstr(),
            lineno: i32::try_from(report.line_number()).unwrap_or_default(),
            funcname: optional(report.function_name()),
            ..pg_sys::ErrorData::default()
        };
        // SAFETY: the texts are the server's, and the rest is absent; the server copies what it keeps.
        unsafe { pg_sys::ThrowErrorData(&raw mut data) };
        unreachable!("an ERROR does not return")
    }
}

/// The SQLSTATE of the error that the server holds.
fn code_in_the_server() -> i32 {
    // SAFETY: the copy is made where it is freed, in a context that outlives whatever the error has ended.
    unsafe {
        PgMemoryContexts::TopMemoryContext.switch_to(|_| {
            let data = pg_sys::CopyErrorData();
            let code = (*data).sqlerrcode;
            pg_sys::FreeErrorData(data);
            code
        })
    }
}

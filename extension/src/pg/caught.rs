//! An error that was caught, to be reported or rethrown.

use pgrx::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::pg_sys::AsPgCStr;
use pgrx::pg_sys::panic::CaughtError;

use super::name::text_of;

/// The classes of errors that the server has, but for those that expressions raise about values: 10 and 22 (data), 20
/// (CASE without a case), 21 (several rows), 2F, 38 and 39 (functions) and P0 (RAISE).
const OTHER_CLASSES: [&[u8; 2]; 36] = [
    b"00", b"01", b"02", b"03", b"08", b"09", b"0A", b"0B", b"0F", b"0L", b"0P", b"0Z", b"23",
    b"24", b"25", b"26", b"27", b"28", b"2B", b"2D", b"34", b"3B", b"3D", b"3F", b"40", b"42",
    b"44", b"53", b"54", b"55", b"57", b"58", b"72", b"F0", b"HV", b"XX",
];

/// An error that `PgTryBuilder` has handed over, with its SQLSTATE: `PgSqlErrorCode` knows only those of the server, and
/// functions of users raise others.
#[derive(Debug)]
pub struct Caught {
    error: CaughtError,
    code: i32,
    is_of_domain: bool,
    detail: Option<String>,
    context: Option<String>,
}

impl Caught {
    /// For the handler, at whose end the server forgets the error.
    pub fn of(error: CaughtError) -> Self {
        match &error {
            CaughtError::PostgresError(report) => {
                let held = held_by_the_server();
                Caught {
                    code: held.code,
                    is_of_domain: held.is_of_domain,
                    detail: report.detail().map(str::to_owned),
                    context: None,
                    error,
                }
            }
            CaughtError::ErrorReport(report)
            | CaughtError::RustPanic {
                ereport: report, ..
            } => Caught {
                code: report.sql_error_code() as i32,
                is_of_domain: false,
                detail: None,
                context: None,
                error,
            },
        }
    }

    /// The same for an error of a statement of ours that SPI has run. It keeps what the server says of its CONTEXT but
    /// for that statement.
    pub fn of_statement(error: CaughtError, sql: &str) -> Self {
        let context = match &error {
            CaughtError::PostgresError(_) => held_by_the_server().context,
            _ => None,
        };
        let own = format!("SQL statement \"{sql}\"");
        let others = context.as_deref().map(|context| {
            let others = context.split(&own).map(|part| part.trim_matches('\n'));
            let others = others.filter(|part| !part.is_empty());
            others.collect::<Vec<_>>().join("\n")
        });
        Caught {
            context: others.filter(|others| !others.is_empty()),
            ..Self::of(error)
        }
    }

    /// The SQLSTATE in the server's encoding: six bits per character, from `0`.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// Whether an expression raised it that met a value without a result: of the server, of a domain, or of a function of
    /// a user with a code of its own.
    pub fn is_of_value(&self) -> bool {
        let class = self.code & 0xfff;
        self.is_of_domain || OTHER_CLASSES.iter().all(|other| class != class_of(**other))
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
            context: optional(self.context.as_deref()),
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

/// What is not handed over of the error that the server holds.
struct Held {
    code: i32,
    /// Whether a check of a domain raised it.
    is_of_domain: bool,
    context: Option<String>,
}

fn held_by_the_server() -> Held {
    // SAFETY: the copy is made where it is freed, in a context that outlives whatever the error has ended.
    unsafe {
        PgMemoryContexts::TopMemoryContext.switch_to(|_| {
            let data = pg_sys::CopyErrorData();
            let held = Held {
                code: (*data).sqlerrcode,
                is_of_domain: !(*data).datatype_name.is_null() && (*data).table_name.is_null(),
                context: text_of((*data).context),
            };
            pg_sys::FreeErrorData(data);
            held
        })
    }
}

/// A class of SQLSTATE in the server's encoding.
fn class_of(text: [u8; 2]) -> i32 {
    let [first, second] = text.map(|character| i32::from(character.wrapping_sub(b'0')));
    first | second << 6
}

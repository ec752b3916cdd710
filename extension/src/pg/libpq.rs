//! Sessions on other servers, by the client library that the library of Citus is linked with.
//!
//! Nothing here needs a library of its own: the server finds the functions through the handle of Citus's. No wait is longer
//! than the deadline, and each can be cancelled. What is dropped is closed, on the way of an error, too.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use crate::error::{Error, Result};

/// The library that is asked for the functions.
const LIBRARY: &CStr = c"citus";

const CONNECTION_OK: c_int = 0;
const CONNECTION_BAD: c_int = 1;
const POLLING_FAILED: c_int = 0;
const POLLING_READING: c_int = 1;
const POLLING_OK: c_int = 3;
const TRANSACTION_IDLE: c_int = 0;
const COMMAND_OK: c_int = 1;
const TUPLES_OK: c_int = 2;

/// An option of a connection string, as far as it is read here.
#[repr(C)]
struct ConninfoOption {
    keyword: *mut c_char,
    environment: *mut c_char,
    compiled: *mut c_char,
    value: *mut c_char,
    label: *mut c_char,
    display: *mut c_char,
    size: c_int,
}

type Session = *mut c_void;
type Answer = *mut c_void;
type Strings = *const *const c_char;

/// Declares functions by their names in the library, and finds all of them.
macro_rules! functions {
    ($($field:ident = $name:literal: ($($argument:ty),*) -> $result:ty;)*) => {
        struct Library {
            $($field: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Library {
            fn load() -> Self {
                // SAFETY: the functions have had these signatures since the first version that Citus works with.
                // The server raises an error if one is missing, and never unloads a library.
                unsafe {
                    Library {
                        $($field: std::mem::transmute::<
                            *mut c_void,
                            unsafe extern "C" fn($($argument),*) -> $result,
                        >(pg_sys::load_external_function(
                            LIBRARY.as_ptr(),
                            $name.as_ptr(),
                            true,
                            std::ptr::null_mut(),
                        )),)*
                    }
                }
            }
        }
    };
}

functions! {
    start = c"PQconnectStartParams": (Strings, Strings, c_int) -> Session;
    poll = c"PQconnectPoll": (Session) -> c_int;
    socket = c"PQsocket": (Session) -> c_int;
    status = c"PQstatus": (Session) -> c_int;
    error = c"PQerrorMessage": (Session) -> *const c_char;
    finish = c"PQfinish": (Session) -> ();
    ignore = c"PQsetNoticeProcessor": (Session, unsafe extern "C" fn(*mut c_void, *const c_char), *mut c_void) -> *mut c_void;
    send = c"PQsendQuery": (Session, *const c_char) -> c_int;
    send_with = c"PQsendQueryParams": (Session, *const c_char, c_int, *const c_uint, Strings, *const c_int, *const c_int, c_int) -> c_int;
    consume = c"PQconsumeInput": (Session) -> c_int;
    is_busy = c"PQisBusy": (Session) -> c_int;
    next = c"PQgetResult": (Session) -> Answer;
    transaction = c"PQtransactionStatus": (Session) -> c_int;
    kind = c"PQresultStatus": (Answer) -> c_int;
    rows = c"PQntuples": (Answer) -> c_int;
    is_null = c"PQgetisnull": (Answer, c_int, c_int) -> c_int;
    value = c"PQgetvalue": (Answer, c_int, c_int) -> *const c_char;
    clear = c"PQclear": (Answer) -> ();
    parse = c"PQconninfoParse": (*const c_char, *mut *mut c_char) -> *mut ConninfoOption;
    free_options = c"PQconninfoFree": (*mut ConninfoOption) -> ();
    free = c"PQfreemem": (*mut c_void) -> ();
}

fn library() -> &'static Library {
    static FOUND: OnceLock<Library> = OnceLock::new();
    FOUND.get_or_init(Library::load)
}

unsafe extern "C" fn ignore(_argument: *mut c_void, _message: *const c_char) {}

/// The text of a string of the library's.
///
/// # Safety
/// NULL, or a string that ends with NUL.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: per contract.
    unsafe { CStr::from_ptr(string) }
        .to_string_lossy()
        .into_owned()
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Internal("a text for a node contains NUL".into()))
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr());
    pointers.chain([std::ptr::null()]).collect()
}

/// The parameters in a connection string: keywords and values.
///
/// # Errors
/// Why the library does not read it.
pub fn parse(string: &str) -> Result<Vec<(String, String)>> {
    let string = c_string(string)?;
    let mut why = std::ptr::null_mut();
    let mut found = Vec::new();
    // SAFETY: the array ends with an option without keyword; all is the library's to free, once.
    unsafe {
        let options = (library().parse)(string.as_ptr(), &raw mut why);
        if options.is_null() {
            let text = text(why);
            (library().free)(why.cast());
            return Err(Error::Internal(text.trim().to_owned()));
        }
        let mut option = options;
        while !(*option).keyword.is_null() {
            let value = text((*option).value);
            if !value.is_empty() {
                found.push((text((*option).keyword), value));
            }
            option = option.add(1);
        }
        (library().free_options)(options);
    }
    Ok(found)
}

/// A session, which is closed on drop.
#[derive(Debug)]
pub struct Connection {
    raw: Session,
}

impl Connection {
    /// Begins to open a session by these parameters; [`Self::finish_opening`] is next.
    ///
    /// # Errors
    /// A message of the library's.
    pub fn open(parameters: &[(String, String)]) -> Result<std::result::Result<Self, String>> {
        let keywords = parameters.iter().map(|(keyword, _)| c_string(keyword));
        let keywords = keywords.collect::<Result<Vec<_>>>()?;
        let values = parameters.iter().map(|(_, value)| c_string(value));
        let values = values.collect::<Result<Vec<_>>>()?;
        let (keywords, values) = (pointers(&keywords), pointers(&values));
        // SAFETY: both arrays end with NULL, and are read during the call.
        let raw = unsafe {
            if !pg_sys::AcquireExternalFD() {
                return Ok(Err("too many files are open".into()));
            }
            (library().start)(keywords.as_ptr(), values.as_ptr(), 0)
        };
        if raw.is_null() {
            // SAFETY: what was acquired above.
            unsafe { pg_sys::ReleaseExternalFD() };
            return Ok(Err("out of memory".into()));
        }
        let session = Connection { raw };
        // SAFETY: a session; the function uses nothing.
        unsafe { (library().ignore)(raw, ignore, std::ptr::null_mut()) };
        // SAFETY: a session, which is not open before it has been waited for.
        Ok(match unsafe { (library().status)(raw) } {
            CONNECTION_BAD => Err(session.error()),
            _ => Ok(session),
        })
    }

    /// Waits until it is open.
    ///
    /// # Errors
    /// Why it is not, or that the time is over.
    pub fn finish_opening(&self, until: Instant) -> std::result::Result<(), String> {
        let mut event = pg_sys::WL_SOCKET_WRITEABLE;
        loop {
            if !self.wait(event, Some(until)) {
                return Err("timeout".into());
            }
            // SAFETY: a session that is being opened.
            event = match unsafe { (library().poll)(self.raw) } {
                POLLING_OK => return Ok(()),
                POLLING_FAILED => return Err(self.error()),
                POLLING_READING => pg_sys::WL_SOCKET_READABLE,
                _ => pg_sys::WL_SOCKET_WRITEABLE,
            };
        }
    }

    /// Sends statements without parameters.
    ///
    /// # Errors
    /// A message of the library's.
    pub fn send(&self, sql: &CStr) -> std::result::Result<(), String> {
        // SAFETY: a session; the text is read during the call.
        match unsafe { (library().send)(self.raw, sql.as_ptr()) } {
            1 => Ok(()),
            _ => Err(self.error()),
        }
    }

    /// Sends a statement with texts as parameters.
    ///
    /// # Errors
    /// A message of the library's.
    pub fn send_with(
        &self,
        sql: &str,
        parameters: &[&str],
    ) -> Result<std::result::Result<(), String>> {
        let sql = c_string(sql)?;
        let values = parameters.iter().map(|value| c_string(value));
        let values = values.collect::<Result<Vec<_>>>()?;
        let values = pointers(&values);
        let none = std::ptr::null();
        let count = parameters.len() as c_int;
        // SAFETY: a session; as many values as are said, all texts, are read during the call.
        let sent = unsafe {
            (library().send_with)(
                self.raw,
                sql.as_ptr(),
                count,
                std::ptr::null(),
                values.as_ptr(),
                none,
                none,
                0,
            )
        };
        Ok(match sent {
            1 => Ok(()),
            _ => Err(self.error()),
        })
    }

    /// Waits for the answer to all that was sent: the first value of the last rows.
    ///
    /// # Errors
    /// The message of the first error.
    pub fn answer(&self) -> std::result::Result<String, String> {
        let mut answer = Ok(String::new());
        loop {
            // SAFETY: a session; a result is read before it is cleared, once.
            unsafe {
                while (library().is_busy)(self.raw) != 0 {
                    self.wait(pg_sys::WL_SOCKET_READABLE, None);
                    if (library().consume)(self.raw) == 0 {
                        return Err(self.error());
                    }
                }
                let next = (library().next)(self.raw);
                if next.is_null() {
                    return answer;
                }
                let kind = (library().kind)(next);
                let has_value = kind == TUPLES_OK
                    && (library().rows)(next) > 0
                    && (library().is_null)(next, 0, 0) == 0;
                if has_value && answer.is_ok() {
                    answer = Ok(text((library().value)(next, 0, 0)));
                } else if ![COMMAND_OK, TUPLES_OK].contains(&kind) && answer.is_ok() {
                    answer = Err(self.error());
                }
                (library().clear)(next);
            }
            if !self.is_open() {
                return answer;
            }
        }
    }

    /// Whether its server has not gone, as far as is known.
    pub fn is_open(&self) -> bool {
        // SAFETY: a session.
        unsafe { (library().status)(self.raw) == CONNECTION_OK }
    }

    /// Whether nothing runs in it, and it is in no transaction.
    pub fn is_at_rest(&self) -> bool {
        // SAFETY: a session.
        self.is_open() && unsafe { (library().transaction)(self.raw) == TRANSACTION_IDLE }
    }

    /// The first line of the last error: no detail, which may show what the caller must not see.
    fn error(&self) -> String {
        // SAFETY: a session, whose message is a string.
        let all = unsafe { text((library().error)(self.raw)) };
        all.lines().next().unwrap_or_default().to_owned()
    }

    /// Waits for the socket; false at the deadline.
    fn wait(&self, event: u32, until: Option<Instant>) -> bool {
        let mut events = event | pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH;
        let mut milliseconds = -1;
        if let Some(until) = until {
            let left = until.saturating_duration_since(Instant::now());
            if left < Duration::from_millis(1) {
                return false;
            }
            events |= pg_sys::WL_TIMEOUT;
            milliseconds = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
        }
        // SAFETY: this process's own latch, and the socket of a session.
        unsafe {
            let found = pg_sys::WaitLatchOrSocket(
                pg_sys::MyLatch,
                events as c_int,
                (library().socket)(self.raw),
                milliseconds,
                pg_sys::PG_WAIT_EXTENSION,
            );
            if found as u32 & pg_sys::WL_LATCH_SET != 0 {
                pg_sys::ResetLatch(pg_sys::MyLatch);
                pgrx::check_for_interrupts!();
            }
        }
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: a session that nothing else uses; neither raises an error.
        unsafe {
            (library().finish)(self.raw);
            pg_sys::ReleaseExternalFD();
        }
    }
}

//! Replaces names of objects in server messages while the server builds them; the rest of a message stays.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};

use pgrx::PgLogLevel;
use pgrx::pg_sys;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;

use super::error_context::Callback;
use super::name::c_string;

/// The words of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// The message itself.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// Whether it is an error.
    pub is_error: bool,
}

/// The replacement text; `None` to keep it.
pub type Told = fn(&Words) -> Option<Words>;

/// The messages that list objects or name a column that is in the way.
const CODES: [PgSqlErrorCode; 6] = [
    PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
    PgSqlErrorCode::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
    PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
    PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
    PgSqlErrorCode::ERRCODE_NOT_NULL_VIOLATION,
    PgSqlErrorCode::ERRCODE_INVALID_TABLE_DEFINITION,
];

thread_local! {
    static IS_TELLING: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, messages are as they are: finding words must not have words found for its own.
struct Telling;

impl Telling {
    fn begin() -> Option<Self> {
        (!IS_TELLING.replace(true)).then_some(Telling)
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        IS_TELLING.set(false);
    }
}

/// Runs the work. Its messages get the words that `told` has for them.
pub fn telling(told: Told, work: impl FnOnce()) {
    // SAFETY: the argument is the function that `tell` takes it for.
    let _callback = unsafe { Callback::enter(tell, told as *mut c_void) };
    work();
}

unsafe extern "C-unwind" {
    fn geterrcode() -> c_int;
    /// The server's `errhint_internal` came with 18.
    fn errhint(format: *const c_char, ...) -> c_int;
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn tell(told: *mut c_void) {
    // SAFETY: the server calls this while it builds a message, with what `telling` has given.
    let (code, told) = unsafe { (geterrcode(), std::mem::transmute::<*mut c_void, Told>(told)) };
    if !CODES.iter().any(|known| *known as i32 == code) {
        return;
    }
    let Some(_telling) = Telling::begin() else {
        return;
    };
    // SAFETY: as above.
    unsafe {
        if let Some(words) = told(&words()) {
            say(pg_sys::errmsg_internal, &words.message);
            if let Some(detail) = words.detail {
                say(pg_sys::errdetail_internal, &detail);
            }
            if let Some(hint) = words.hint {
                say(errhint, &hint);
            }
        }
    }
}

/// # Safety
/// While the server builds a message.
unsafe fn words() -> Words {
    // SAFETY: per contract. The copy is made in the transaction's memory, and freed.
    unsafe {
        let before = std::mem::replace(
            &mut *std::ptr::addr_of_mut!(pg_sys::CurrentMemoryContext),
            pg_sys::CurTransactionContext,
        );
        let copy = pg_sys::CopyErrorData();
        let text = |of: *const c_char| {
            (!of.is_null()).then(|| CStr::from_ptr(of).to_string_lossy().into_owned())
        };
        let words = Words {
            message: text((*copy).message).unwrap_or_default(),
            detail: text((*copy).detail),
            hint: text((*copy).hint),
            is_error: (*copy).elevel >= PgLogLevel::ERROR as i32,
        };
        pg_sys::FreeErrorData(copy);
        pg_sys::CurrentMemoryContext = before;
        words
    }
}

/// # Safety
/// While the server builds a message, with one of its functions for that.
unsafe fn say(how: unsafe extern "C-unwind" fn(*const c_char, ...) -> c_int, text: &str) {
    if let Ok(text) = c_string(text) {
        // SAFETY: per contract; the server copies the text.
        unsafe { how(c"%s".as_ptr(), text.as_ptr()) };
    }
}

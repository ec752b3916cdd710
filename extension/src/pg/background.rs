//! Background workers: starting them, their signals, and their transactions.
//!
//! SIGTERM never interrupts a transaction: the handler sets a flag, and arms a timer
//! that cancels the running statement, as `pg_cancel_backend()` would, if it has not finished
//! in time. So a stop is either a commit or an ordinary abort.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::time::Duration;

use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::PgTryBuilder;
use pgrx::{FromDatum, IntoDatum, pg_sys};

use super::caught::Caught;
use super::failure::Failure;
use super::version;

/// A kind of worker.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Shown in `pg_stat_activity.backend_type`.
    pub name: &'static str,
    /// The exported function that it runs.
    pub function: &'static str,
}

/// Exports `$name` as the main function of a kind of worker; `$body` gets the number that it was
/// started with.
#[macro_export]
macro_rules! worker_main {
    ($(#[$doc:meta])* fn $name:ident, $body:path) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// Called by the server only.
        #[allow(unsafe_code)]
        #[::pgrx::pg_guard]
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(argument: ::pgrx::pg_sys::Datum) {
            $body($crate::pg::background::number(argument));
        }
    };
}

/// The number that a worker was started with.
pub fn number(argument: pg_sys::Datum) -> i32 {
    // SAFETY: an integer by value, as `builder` gives it.
    unsafe { i32::from_datum(argument, false) }.unwrap_or(0)
}

/// What this worker does at exit.
static ON_EXIT: OnceLock<fn()> = OnceLock::new();
static IS_TERMINATING: AtomicBool = AtomicBool::new(false);
static IS_BUSY: AtomicBool = AtomicBool::new(false);
static GRACE_S: AtomicI32 = AtomicI32::new(0);
static TIMER: AtomicPtr<std::ffi::c_void> = AtomicPtr::new(std::ptr::null_mut());

fn builder(kind: Kind, argument: i32) -> BackgroundWorkerBuilder {
    BackgroundWorkerBuilder::new(kind.name)
        .set_type(kind.name)
        .set_library("pg_trickle")
        .set_function(kind.function)
        .set_argument(argument.into_datum())
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
}

/// Has the postmaster keep one running: not on a standby, and again after a promotion or a crash.
pub fn register(kind: Kind) {
    builder(kind, 0)
        .set_restart_time(Some(Duration::from_secs(1)))
        .load();
}

/// Starts one; false if the server has no room for it (`max_worker_processes`).
pub fn start(kind: Kind, argument: i32) -> bool {
    builder(kind, argument)
        .set_restart_time(None)
        .load_dynamic()
        .is_ok()
}

/// First step of a worker: signals, and a connection to a database, or to none for the shared
/// catalogs. `on_exit` is called when the process exits for any reason.
pub fn begin(database: Option<pg_sys::Oid>, on_exit: fn()) {
    ON_EXIT.get_or_init(|| on_exit);
    // SAFETY: the start of a worker's main function; the handlers only touch atomics, this process's
    // latch and its timer.
    unsafe {
        pg_sys::before_shmem_exit(Some(exit), pg_sys::Datum::from(0));
        version::signal::set(libc::SIGTERM, on_terminate);
        version::signal::set(libc::SIGHUP, on_reload);
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGINT;
        let mut timer: libc::timer_t = std::ptr::null_mut();
        if libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) == 0 {
            TIMER.store(timer, Ordering::SeqCst);
        }
        pg_sys::BackgroundWorkerUnblockSignals();
        keep_own_settings();
        match database {
            Some(database) => {
                pg_sys::BackgroundWorkerInitializeConnectionByOid(database, pg_sys::InvalidOid, 0);
            }
            None => {
                pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0)
            }
        }
    }
}

/// What a database or a role sets for its sessions would make a worker's transactions fail, end it, or give them another
/// snapshot. The server's own workers keep these settings, too (`AutoVacWorkerMain` in its `autovacuum.c`).
const OWN_SETTINGS: [(&CStr, &CStr); 7] = [
    (c"default_transaction_read_only", c"off"),
    (c"default_transaction_deferrable", c"off"),
    (c"default_transaction_isolation", c"read committed"),
    (c"statement_timeout", c"0"),
    (c"lock_timeout", c"0"),
    (c"transaction_timeout", c"0"),
    (c"idle_in_transaction_session_timeout", c"0"),
];

/// # Safety
/// At the start of a worker.
unsafe fn keep_own_settings() {
    for (name, value) in OWN_SETTINGS {
        // SAFETY: per contract; the texts are NUL-terminated, and the server copies them.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_OVERRIDE,
            );
        }
    }
}

unsafe extern "C-unwind" fn exit(_code: i32, _argument: pg_sys::Datum) {
    if let Some(on_exit) = ON_EXIT.get() {
        on_exit();
    }
}

crate::signal_handler! {
    /// SIGTERM: no new work starts; running work has this many seconds.
    fn on_terminate, terminate
}

crate::signal_handler! {
    /// SIGHUP: the configuration is read again at the next opportunity.
    fn on_reload, reload
}

fn terminate() {
    let again = IS_TERMINATING.swap(true, Ordering::SeqCst);
    if !again && IS_BUSY.load(Ordering::SeqCst) {
        arm_timer();
    }
    // SAFETY: safe in a signal handler by design.
    unsafe { pg_sys::SetLatch(pg_sys::MyLatch) }
}

fn reload() {
    // SAFETY: what the server's own handler does.
    unsafe {
        pg_sys::ConfigReloadPending = 1;
        pg_sys::SetLatch(pg_sys::MyLatch);
    }
}

/// Safe in a signal handler: atomics and one call that POSIX allows there.
fn arm_timer() {
    let timer = TIMER.load(Ordering::SeqCst);
    let grace_s = i64::from(GRACE_S.load(Ordering::SeqCst));
    // SAFETY: a timer of this process; a zero value would disarm it, so at least a nanosecond.
    unsafe {
        let mut value: libc::itimerspec = std::mem::zeroed();
        value.it_value.tv_sec = grace_s;
        value.it_value.tv_nsec = 1;
        libc::timer_settime(timer, 0, &value, std::ptr::null_mut());
    }
}

/// Ends a registered worker so that the postmaster starts it again, unless it is stopping itself:
/// an exit without error would be for good.
pub fn exit_to_return() -> ! {
    // SAFETY: no transaction is open.
    unsafe { version::process_exit::exit(1) }
}

/// Whether this worker has been told to stop.
pub fn is_terminating() -> bool {
    IS_TERMINATING.load(Ordering::SeqCst)
}

/// Work that may finish within `grace_s` seconds after SIGTERM; `None` if SIGTERM came before.
pub fn finishing<T>(grace_s: i32, work: impl FnOnce() -> T) -> Option<T> {
    GRACE_S.store(grace_s, Ordering::SeqCst);
    IS_BUSY.store(true, Ordering::SeqCst);
    if is_terminating() {
        IS_BUSY.store(false, Ordering::SeqCst);
        return None;
    }
    let result = work();
    IS_BUSY.store(false, Ordering::SeqCst);
    Some(result)
}

/// Between two pieces of work: rereads the configuration if asked to, and answers the server's
/// requests to all processes. A cancel that came too late for its target is ignored.
pub fn attend() {
    // SAFETY: no transaction is open.
    unsafe {
        pg_sys::QueryCancelPending = 0;
        pgrx::check_for_interrupts!();
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// A transaction of READ COMMITTED. An error aborts it and is returned.
pub fn transaction<T>(
    work: impl FnOnce() -> std::result::Result<T, Failure>,
) -> std::result::Result<T, Failure> {
    // SAFETY: no transaction is open; the end below closes it on both ways.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32;
    }
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| {
        let value = work()?;
        // SAFETY: commits what was begun above; may fail, in deferred triggers for instance.
        unsafe { pg_sys::CommitTransactionCommand() };
        Ok(value)
    }))
    .catch_others(|error| Err(Failure::caught(&Caught::of(error))))
    .execute();
    // SAFETY: the error has been taken off the server's stack; this aborts what was begun.
    unsafe {
        if outcome.is_err() {
            pg_sys::AbortCurrentTransaction();
        }
        pg_sys::pgstat_report_stat(false);
    }
    outcome
}

/// Shows in `pg_stat_activity` what this process does; `None`: nothing.
pub fn show(activity: Option<&str>) {
    let state = match activity {
        Some(_) => pg_sys::BackendState::STATE_RUNNING,
        None => pg_sys::BackendState::STATE_IDLE,
    };
    let text = activity.and_then(|text| std::ffi::CString::new(text).ok());
    // SAFETY: the text is copied.
    unsafe {
        pg_sys::pgstat_report_activity(
            state,
            text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr()),
        );
    }
}

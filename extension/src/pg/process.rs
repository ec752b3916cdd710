//! Processes that wake each other through their latches.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use pgrx::pg_sys;

/// A place in shared memory where a process says how it is woken. All zero: no process.
#[derive(Debug, Default)]
pub struct Process {
    /// Its number in the server's process array, plus one.
    number: AtomicI32,
    pid: AtomicI32,
}

impl Process {
    /// Enters this process.
    pub fn enter(&self) {
        // SAFETY: variables of the server, set before a process gets to run our code.
        let (number, pid) = unsafe { (pg_sys::MyProcNumber, pg_sys::MyProcPid) };
        self.pid.store(pid, Ordering::SeqCst);
        self.number.store(number + 1, Ordering::SeqCst);
    }

    /// Removes the process.
    pub fn leave(&self) {
        self.number.store(0, Ordering::SeqCst);
        self.pid.store(0, Ordering::SeqCst);
    }

    /// The process id; `None` if there is none.
    pub fn pid(&self) -> Option<i32> {
        match self.pid.load(Ordering::SeqCst) {
            0 => None,
            pid => Some(pid),
        }
    }

    /// Wakes it; returns whether there is one. Waking a process that has just gone does no harm: its
    /// successor in the array looks around once more than it had to.
    pub fn wake(&self) -> bool {
        let number = self.number.load(Ordering::SeqCst);
        let Ok(index) = usize::try_from(number - 1) else {
            return false;
        };
        // SAFETY: an index that a process of this server had; latches are never freed, and setting
        // one neither waits nor fails.
        unsafe {
            let all = (*pg_sys::ProcGlobal).allProcs;
            pg_sys::SetLatch(&raw mut (*all.add(index)).procLatch);
        }
        true
    }
}

/// The id of this process.
pub fn own_pid() -> i32 {
    // SAFETY: a variable of the server.
    unsafe { pg_sys::MyProcPid }
}

/// Whether a server process with this id is there.
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: a look-up in the process array; only NULL or not matters.
    pid != 0 && unsafe { !pg_sys::BackendPidGetProc(pid).is_null() }
}

/// Cancels what a server process is doing, as `pg_cancel_backend()` does.
pub fn cancel(pid: i32) {
    // SAFETY: a signal that every server process handles; one that has gone is not there to get it.
    unsafe { libc::kill(pid, libc::SIGINT) };
}

/// Sleeps until this process is woken, or for so long. Dies with the postmaster. Afterwards the
/// latch is reset: whatever may have happened has to be looked at now.
pub fn sleep(timeout: Option<Duration>) {
    let milliseconds = timeout.map_or(-1, |timeout| {
        i64::try_from(timeout.as_millis())
            .unwrap_or(i64::MAX)
            .max(1)
    });
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH;
    if timeout.is_some() {
        events |= pg_sys::WL_TIMEOUT;
    }
    // SAFETY: this process's own latch.
    unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            events as i32,
            milliseconds,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
}

/// What the session's client calls itself.
pub fn application_name() -> String {
    // SAFETY: a variable of the server, a NUL-terminated string or NULL.
    unsafe {
        let name = pg_sys::application_name;
        if name.is_null() {
            return String::new();
        }
        std::ffi::CStr::from_ptr(name)
            .to_string_lossy()
            .into_owned()
    }
}

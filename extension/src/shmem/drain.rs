//! Whether refreshes may start, and how many are running.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, Ordering};

/// The state of a drain. All zero: refreshes run as usual.
#[derive(Debug)]
pub struct Drain {
    is_on: AtomicBool,
    since_us: AtomicI64,
    by_role: AtomicU32,
    by_pid: AtomicI32,
    /// Transactions in which a refresh has begun, manual ones included.
    in_flight: AtomicI32,
}

/// Who wanted the drain, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requested {
    /// Microseconds of the server's clock.
    pub since_us: i64,
    /// OID of the role.
    pub role: u32,
    /// Process id of the session.
    pub pid: i32,
}

impl Drain {
    /// No scheduler hands out a job from now on. A drain that is on already stays as it is.
    pub fn begin(&self, requested: Requested) {
        if !self.is_on.swap(true, Ordering::SeqCst) {
            self.since_us.store(requested.since_us, Ordering::SeqCst);
            self.by_role.store(requested.role, Ordering::SeqCst);
            self.by_pid.store(requested.pid, Ordering::SeqCst);
        }
    }

    /// Back to usual; whether a drain was on.
    pub fn end(&self) -> bool {
        self.is_on.swap(false, Ordering::SeqCst)
    }

    /// Whether no refresh is to be begun.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::SeqCst)
    }

    /// Who wanted it.
    pub fn requested(&self) -> Option<Requested> {
        self.is_on().then(|| Requested {
            since_us: self.since_us.load(Ordering::SeqCst),
            role: self.by_role.load(Ordering::SeqCst),
            pid: self.by_pid.load(Ordering::SeqCst),
        })
    }

    /// A refresh has begun in a transaction that had none.
    pub fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    /// That transaction has ended.
    pub fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many such transactions there are.
    pub fn transactions(&self) -> usize {
        usize::try_from(self.in_flight.load(Ordering::SeqCst)).unwrap_or(0)
    }
}

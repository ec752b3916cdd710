//! The active snapshot.

use super::is_aborting;
use pgrx::pg_sys;

/// A pushed snapshot, popped on drop.
#[derive(Debug)]
pub struct ActiveSnapshot {
    _private: (),
}

impl ActiveSnapshot {
    /// Pushes a copy of the transaction's snapshot: a fresh one in READ COMMITTED, the
    /// transaction's own in REPEATABLE READ. Our own writes so far are visible in it.
    pub fn push() -> Self {
        // SAFETY: we are in a transaction.
        Self::push_copy(|| unsafe { pg_sys::GetTransactionSnapshot() })
    }

    /// Pushes a copy of the latest snapshot, in REPEATABLE READ too.
    pub fn push_latest() -> Self {
        // SAFETY: we are in a transaction.
        Self::push_copy(|| unsafe { pg_sys::GetLatestSnapshot() })
    }

    /// Pushes a copy of the active snapshot, with our own writes so far visible in it: others are
    /// seen as they were when that was taken.
    pub fn push_active() -> Self {
        // SAFETY: the caller has pushed the snapshot that is copied.
        Self::push_copy(|| unsafe { pg_sys::GetActiveSnapshot() })
    }

    fn push_copy(taken: impl FnOnce() -> pg_sys::Snapshot) -> Self {
        // SAFETY: we are in a transaction; the copy may be changed by `show_own_writes`.
        unsafe {
            pg_sys::CommandCounterIncrement();
            pg_sys::PushCopiedSnapshot(taken());
            pg_sys::UpdateActiveSnapshotCommandId();
        }
        ActiveSnapshot { _private: () }
    }

    /// Makes our own writes so far visible in it; other transactions stay as they are.
    pub fn show_own_writes(&mut self) {
        // SAFETY: the active snapshot is our copy, as guards are dropped in reverse order.
        unsafe {
            pg_sys::CommandCounterIncrement();
            pg_sys::UpdateActiveSnapshotCommandId();
        }
    }
}

impl Drop for ActiveSnapshot {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: pushed by us, popped once.
            unsafe { pg_sys::PopActiveSnapshot() }
        }
    }
}

/// Whether the transaction keeps one snapshot: REPEATABLE READ or SERIALIZABLE.
pub fn is_transaction_wide() -> bool {
    // SAFETY: a plain variable of the server.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// Which transactions a snapshot sees.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// All before this one have ended.
    pub xmin: pg_sys::TransactionId,
    /// None from this one on is seen.
    pub xmax: pg_sys::TransactionId,
    /// Those between that were running.
    pub running: Vec<pg_sys::TransactionId>,
}

impl Seen {
    /// Whether another transaction has committed that `later` sees and this does not.
    fn misses_commit(&self, later: &Seen) -> bool {
        let mut xid = self.xmin;
        // SAFETY: comparisons of numbers, and a look at the commit log, which has all from a snapshot's xmin on.
        unsafe {
            while pg_sys::TransactionIdPrecedes(xid, later.xmax) {
                let is_new = !self.sees(xid) && later.sees(xid);
                let is_own = is_new && pg_sys::TransactionIdIsCurrentTransactionId(xid);
                if is_new && !is_own && pg_sys::TransactionIdDidCommit(xid) {
                    return true;
                }
                xid = match xid.into_inner().wrapping_add(1) {
                    next if next < pg_sys::FirstNormalTransactionId.into_inner() => {
                        pg_sys::FirstNormalTransactionId
                    }
                    next => next.into(),
                };
            }
        }
        false
    }

    /// Whether the transaction had ended.
    fn sees(&self, xid: pg_sys::TransactionId) -> bool {
        // SAFETY: compares numbers.
        unsafe { pg_sys::TransactionIdPrecedes(xid, self.xmax) && !self.running.contains(&xid) }
    }
}

/// Whether another transaction has committed that the transaction's own snapshot, which it keeps, does not show.
pub fn is_behind() -> bool {
    if !is_transaction_wide() {
        return false;
    }
    let own = {
        let _own = ActiveSnapshot::push();
        active()
    };
    let latest = {
        let _latest = ActiveSnapshot::push_latest();
        active()
    };
    own.misses_commit(&latest)
}

/// What the active snapshot sees.
pub fn active() -> Seen {
    // SAFETY: the snapshot's array is valid while it is active, and we copy it.
    unsafe {
        let snapshot = pg_sys::GetActiveSnapshot();
        let running = match (*snapshot).xcnt as usize {
            0 => Vec::new(),
            count => std::slice::from_raw_parts((*snapshot).xip, count).to_vec(),
        };
        Seen {
            xmin: (*snapshot).xmin,
            xmax: (*snapshot).xmax,
            running,
        }
    }
}

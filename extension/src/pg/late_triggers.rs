//! Deferred triggers that were queued after the transaction fired its deferred triggers.

use pgrx::pg_sys;

/// Fires what is queued. Called before a commit, where the server will not look again.
pub fn fire() {
    // SAFETY: in a transaction that commits next; the queue is the server's.
    unsafe { pg_sys::AfterTriggerFireDeferred() }
}

//! The ids of the running transaction.

use pgrx::pg_sys;

/// The full id of our top-level transaction, 0 if it has none yet.
pub fn top_xid_if_any() -> u64 {
    // SAFETY: reads the transaction state.
    unsafe { pg_sys::GetTopFullTransactionIdIfAny().value }
}

/// The full id of our top-level transaction, which gets one now if it has none.
pub fn top_xid() -> u64 {
    // SAFETY: we are in a transaction that may write.
    unsafe { pg_sys::GetTopFullTransactionId().value }
}

/// The next full id that the cluster gives out.
pub fn next_xid() -> u64 {
    // SAFETY: reads shared memory.
    unsafe { pg_sys::ReadNextFullTransactionId().value }
}

/// A number that each top-level transaction of this session has for itself.
pub fn local_id() -> u32 {
    // SAFETY: MyProc is set in every backend that runs transactions.
    unsafe { (*pg_sys::MyProc).vxid.lxid }
}

/// Has the commit wait until it survives a crash, whatever `synchronous_commit` says.
pub fn commit_durably() {
    // SAFETY: sets a flag of the running transaction.
    unsafe { pg_sys::ForceSyncCommit() }
}

/// Whether the transaction continues after the statement.
pub fn is_block() -> bool {
    // SAFETY: reads the transaction state.
    unsafe { pg_sys::IsTransactionBlock() }
}

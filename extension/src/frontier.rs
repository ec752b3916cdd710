//! Taking frontiers and counting epochs in the current transaction. The rules themselves are pure:
//! [`pgtrickle_dvm::frontier`].

pub use crate::pg::transaction::top_xid;
use crate::pg::{snapshot, transaction};
use crate::shmem::notes;
use pgrx::pg_sys;
pub use pgtrickle_dvm::frontier::Frontier;

/// The frontier that the active snapshot stands for: its transactions, our own transaction's id
/// if it has one yet, and the current epoch.
///
/// A refresh stores `of_active_snapshot().with_own(top_xid(), epoch::advance())`.
pub fn of_active_snapshot() -> Frontier {
    let snapshot = snapshot::active();
    let next = transaction::next_xid();
    let full = |xid| widen(xid, next);
    Frontier::new(
        full(snapshot.xmin),
        full(snapshot.xmax),
        snapshot.running.into_iter().map(full).collect(),
        transaction::top_xid_if_any(),
        epoch::current(),
    )
}

/// The full id of a transaction that is not beyond `next`, as every one in a live snapshot.
fn widen(xid: pg_sys::TransactionId, next: u64) -> u64 {
    let xid = u64::from(xid.into_inner());
    if xid < u64::from(pg_sys::FirstNormalTransactionId.into_inner()) {
        return xid;
    }
    let same_epoch = (next & !u64::from(u32::MAX)) | xid;
    if same_epoch > next {
        same_epoch.wrapping_sub(1 << 32)
    } else {
        same_epoch
    }
}

/// The epoch that a change captured now belongs to, for capture by generated SQL into `buffer`,
/// whose readers will be woken.
#[pgrx::pg_extern(
    volatile,
    parallel_unsafe,
    schema = "pgtrickle",
    sql = r#"
CREATE FUNCTION pgtrickle.capture_epoch(buffer regclass) RETURNS integer
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION pgtrickle.capture_epoch(regclass) IS 'epoch of a change that generated SQL captures into this buffer';
"#
)]
fn capture_epoch(buffer: pg_sys::Oid) -> i32 {
    notes::dirty(buffer);
    epoch::of_change(buffer)
}

/// The epoch: how many refreshes our top-level transaction has done. It never falls, not even when
/// a savepoint is rolled back, so that an epoch says without doubt what came after a refresh.
pub mod epoch {
    use crate::pg::transaction;
    use pgrx::pg_sys;
    use std::cell::{Cell, RefCell};

    thread_local! {
        /// The local id of the transaction that counts, and its count.
        static EPOCH: Cell<(u32, i32)> = const { Cell::new((0, 0)) };
        /// The local id of a transaction, and the buffers into which it has captured.
        static BUFFERS: RefCell<(u32, Vec<u32>)> = const { RefCell::new((0, Vec::new())) };
    }

    /// The epoch that a change captured now belongs to.
    pub fn current() -> i32 {
        let transaction = transaction::local_id();
        match EPOCH.get() {
            (of, epoch) if of == transaction => epoch,
            _ => 0,
        }
    }

    /// The epoch of a change that is captured now into this buffer.
    pub fn of_change(buffer: pg_sys::Oid) -> i32 {
        let (transaction, buffer) = (transaction::local_id(), buffer.to_u32());
        BUFFERS.with_borrow_mut(|(of, buffers)| {
            if *of != transaction {
                *of = transaction;
                buffers.clear();
            }
            if buffers.last() != Some(&buffer) && !buffers.contains(&buffer) {
                buffers.push(buffer);
            }
        });
        current()
    }

    /// Whether the transaction has captured into this buffer, or begun to.
    pub fn has_change(buffer: pg_sys::Oid) -> bool {
        let transaction = transaction::local_id();
        BUFFERS
            .with_borrow(|(of, buffers)| *of == transaction && buffers.contains(&buffer.to_u32()))
    }

    /// Begins the next epoch and returns it.
    pub fn advance() -> i32 {
        let next = current().saturating_add(1);
        EPOCH.set((transaction::local_id(), next));
        next
    }
}

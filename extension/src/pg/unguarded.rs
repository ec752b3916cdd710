//! Server functions without pgrx's guard on each call, for loops over many rows that have one guard
//! around them all.
//!
//! A server error jumps straight from the failing call to the guard. The code in between must
//! have nothing to drop and must not panic: loops over slices, numbers and raw pointers.

use pgrx::pg_sys;
use pgrx::pg_sys::{
    BlockNumber, Buffer, BulkInsertState, CommandId, Datum, ForkNumber, HeapTuple, IndexInfo,
    IndexUniqueCheck, ItemPointer, Relation, Snapshot, TupleDesc, TupleTableSlot, Tuplestorestate,
    XLogRecPtr,
};
use std::ffi::{c_int, c_void};

/// Runs `work` under one guard: an error in it becomes a panic here, as in any guarded call.
///
/// # Safety
/// `work` keeps to the rules of this module.
#[inline]
pub unsafe fn guarded<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: per contract.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(work) }
}

/// Lets the server handle an interrupt, if there is one.
///
/// # Safety
/// Called within [`guarded`].
#[inline]
pub unsafe fn check_for_interrupts() {
    // SAFETY: per contract.
    unsafe {
        if pg_sys::InterruptPending != 0 {
            ProcessInterrupts();
        }
    }
}

#[allow(improper_ctypes)]
unsafe extern "C-unwind" {
    fn ProcessInterrupts();

    /// `utils/tuplestore.h`
    pub fn tuplestore_gettupleslot(
        store: *mut Tuplestorestate,
        forward: bool,
        copy: bool,
        slot: *mut TupleTableSlot,
    ) -> bool;

    /// `executor/tuptable.h`
    pub fn slot_getsomeattrs_int(slot: *mut TupleTableSlot, attnum: c_int);

    /// `access/htup_details.h`
    pub fn heap_form_tuple(desc: TupleDesc, values: *const Datum, nulls: *const bool) -> HeapTuple;

    /// `executor/tuptable.h`
    pub fn ExecStoreHeapTuple(
        tuple: HeapTuple,
        slot: *mut TupleTableSlot,
        should_free: bool,
    ) -> *mut TupleTableSlot;

    /// `access/heapam.h`
    pub fn heap_multi_insert(
        relation: Relation,
        slots: *mut *mut TupleTableSlot,
        count: c_int,
        command: CommandId,
        options: c_int,
        state: BulkInsertState,
    );

    /// `access/xact.h`
    pub fn GetCurrentCommandId(used: bool) -> CommandId;

    /// `access/genam.h`
    pub fn index_insert(
        index: Relation,
        values: *mut Datum,
        nulls: *mut bool,
        tid: ItemPointer,
        table: Relation,
        check_unique: IndexUniqueCheck::Type,
        unchanged: bool,
        info: *mut IndexInfo,
    ) -> bool;

    /// `storage/bufmgr.h`
    pub fn ReadBuffer(relation: Relation, block: BlockNumber) -> Buffer;

    /// `storage/bufmgr.h`
    pub fn ReleaseBuffer(buffer: Buffer);

    /// `storage/bufmgr.h`
    pub fn BufferGetLSNAtomic(buffer: Buffer) -> XLogRecPtr;

    /// `storage/bufmgr.h`
    pub fn UnlockReleaseBuffer(buffer: Buffer);

    /// `storage/bufmgr.h`
    pub fn RelationGetNumberOfBlocksInFork(
        relation: Relation,
        fork: ForkNumber::Type,
    ) -> BlockNumber;

    /// `access/heapam.h`
    pub fn heap_fetch(
        relation: Relation,
        snapshot: Snapshot,
        tuple: HeapTuple,
        buffer: *mut Buffer,
        keep_buffer: bool,
    ) -> bool;

    /// `access/htup.h`
    pub fn heap_copytuple(tuple: HeapTuple) -> HeapTuple;

    /// `utils/snapmgr.h`
    pub fn GetLatestSnapshot() -> Snapshot;

    /// `utils/snapmgr.h`
    pub fn RegisterSnapshot(snapshot: Snapshot) -> Snapshot;

    /// `utils/snapmgr.h`
    pub fn UnregisterSnapshot(snapshot: Snapshot);

    /// `executor/executor.h`
    pub fn standard_ExecutorStart(query: *mut pg_sys::QueryDesc, flags: c_int);

    /// `executor/executor.h`
    pub fn standard_ExecutorFinish(query: *mut pg_sys::QueryDesc);

    /// `utils/palloc.h`
    pub fn MemoryContextAlloc(context: pg_sys::MemoryContext, size: usize) -> *mut c_void;

    /// `utils/datum.h`
    pub fn datum_image_eq(a: Datum, b: Datum, by_value: bool, len: c_int) -> bool;
}

//! Tuplestores: sets of rows that spill to disk beyond `work_mem`. The inputs of delta
//! statements are such stores, registered as ephemeral named relations.

use super::is_aborting;
use super::memory::Switched;
use super::row::{OwnedRow, Row};
use super::slot::{Slot, SlotKind};
use super::tupdesc::{Column, OwnTupleDesc};
use crate::error::Result;
use pgrx::pg_sys;

/// A tuplestore with its row type; ended on drop.
#[derive(Debug)]
pub struct TupleStore {
    raw: *mut pg_sys::Tuplestorestate,
    desc: pg_sys::TupleDesc,
    rows: u64,
}

impl TupleStore {
    /// An empty store in `context`, rereadable. `desc` must live as long.
    pub fn new(context: pg_sys::MemoryContext, desc: pg_sys::TupleDesc) -> Self {
        let _switched = Switched::to(context);
        // SAFETY: the current context is the store's home; it belongs to this transaction only.
        let raw = unsafe { pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem) };
        TupleStore { raw, desc, rows: 0 }
    }

    /// An empty store for rows of these columns that lives as long as what the current subtransaction
    /// does is not undone. It must not be dropped after that: [`std::mem::forget`] it.
    pub fn of_subtransaction(columns: &[Column]) -> Result<Self> {
        // SAFETY: both are always set in a transaction. The memory goes with the subtransaction's
        // effects; files stay open until the transaction ends, as PostgreSQL closes those of a
        // subtransaction when that commits.
        let context = unsafe { pg_sys::CurTransactionContext };
        let desc = OwnTupleDesc::build(context, columns)?;
        Ok(Self::of_transaction(context, desc.as_ptr()))
    }

    /// An empty store in `context`, which may outlive the current subtransaction: files stay open until the
    /// transaction ends. `desc` must live as long.
    pub fn of_transaction(context: pg_sys::MemoryContext, desc: pg_sys::TupleDesc) -> Self {
        // SAFETY: both owners are set in a transaction; the store keeps the one that is current when it is made.
        unsafe {
            let owner = pg_sys::CurrentResourceOwner;
            pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
            let store = Self::new(context, desc);
            pg_sys::CurrentResourceOwner = owner;
            store
        }
    }

    /// Appends a row of our row type.
    pub fn put(&mut self, row: Row<'_>) {
        let Row { values, nulls } = row;
        // SAFETY: desc is our row type; the slices cover its columns.
        unsafe {
            debug_assert_eq!(values.len(), (*self.desc).natts as usize);
            debug_assert_eq!(nulls.len(), values.len());
            pg_sys::tuplestore_putvalues(self.raw, self.desc, values.as_ptr(), nulls.as_ptr());
        }
        self.rows += 1;
    }

    /// Appends a row whose last column is its weight, an `int8`, or an `int4` in which it fits.
    pub fn put_weighted(&mut self, row: Row<'_>, weight: i64) {
        let mut row = OwnedRow::of(row);
        row.push(weight);
        self.put(row.row());
    }

    /// The number of rows put through this wrapper.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of rows in the store, those of a DestReceiver included.
    pub fn count(&self) -> u64 {
        // SAFETY: the store lives as long as self.
        unsafe { pg_sys::tuplestore_tuple_count(self.raw) }.max(0) as u64
    }

    /// The row type.
    pub fn tuple_desc(&self) -> pg_sys::TupleDesc {
        self.desc
    }

    /// For calls to the server, ephemeral named relations above all.
    pub fn as_ptr(&self) -> *mut pg_sys::Tuplestorestate {
        self.raw
    }

    /// Reads it from the start with a read pointer of its own.
    pub fn scan(&self) -> StoreScan<'_> {
        StoreScan {
            reader: StoreReader::new(self.raw),
            slot: Slot::new(self.desc, SlotKind::Minimal),
            _store: self,
        }
    }
}

impl Drop for TupleStore {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: begun by new, ended once.
            unsafe { pg_sys::tuplestore_end(self.raw) }
        }
    }
}

/// A read pointer of its own into any tuplestore, also one of the server's. The server has no
/// way to free a pointer: few per store, please.
#[derive(Debug)]
pub struct StoreReader {
    store: *mut pg_sys::Tuplestorestate,
    pointer: i32,
}

impl StoreReader {
    /// Starts at the store's first row.
    pub fn new(store: *mut pg_sys::Tuplestorestate) -> Self {
        // SAFETY: the store is valid and rereadable, as all that we meet are.
        unsafe {
            let pointer =
                pg_sys::tuplestore_alloc_read_pointer(store, pg_sys::EXEC_FLAG_REWIND as i32);
            pg_sys::tuplestore_select_read_pointer(store, pointer);
            pg_sys::tuplestore_rescan(store);
            StoreReader { store, pointer }
        }
    }

    /// Fetches the next row into `slot`, of kind [`SlotKind::Minimal`]; false at the end. The row
    /// may be the store's own memory: valid until the next fetch.
    pub fn next(&mut self, slot: &mut Slot) -> bool {
        // SAFETY: the store outlives the reader; the pointer is ours.
        unsafe {
            pg_sys::tuplestore_select_read_pointer(self.store, self.pointer);
            pg_sys::tuplestore_gettupleslot(self.store, true, false, slot.as_ptr())
        }
    }
}

/// A scan of a [`TupleStore`].
#[derive(Debug)]
pub struct StoreScan<'a> {
    reader: StoreReader,
    slot: Slot,
    _store: &'a TupleStore,
}

impl StoreScan<'_> {
    /// The next row in the scan's slot, `None` at the end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<&mut Slot> {
        self.reader.next(&mut self.slot).then_some(&mut self.slot)
    }
}

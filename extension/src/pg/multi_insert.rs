//! Writing many rows to a table without the executor: a batch of rows is one call and, per page,
//! one log record.
//!
//! All rows of one writer have the same value in the first column, which the table's own index is over.

use super::change_index::WrittenIndexes;
use super::memory::MemoryContext;
use super::relation::Relation;
use super::row::Row;
use super::slot::{Slot, SlotKind};
use super::{is_aborting, unguarded};
use crate::error::Result;
use pgrx::pg_sys;

/// Rows per batch, as COPY has it.
const BATCH_ROWS: usize = 1000;
/// Bytes per batch: wide rows should not pile up.
const BATCH_BYTES: usize = 1 << 18;

/// A writer to an open table; [`MultiInsert::finish`] writes the last batch.
#[derive(Debug)]
pub struct MultiInsert {
    indexes: WrittenIndexes,
    slots: Vec<Slot>,
    raw_slots: Vec<*mut pg_sys::TupleTableSlot>,
    used: usize,
    bytes: usize,
    command: pg_sys::CommandId,
    /// Holds the tuples of the batch.
    batch: MemoryContext,
    /// Closed last, as fields drop in order.
    table: Relation,
}

impl MultiInsert {
    /// Writes to `table`. `indexed` is the value that all rows have in the first column.
    pub fn begin(table: Relation, indexed: pg_sys::Datum) -> Result<Self> {
        // SAFETY: rows written from now on belong to the current command.
        let command = unsafe { pg_sys::GetCurrentCommandId(true) };
        Ok(MultiInsert {
            indexes: WrittenIndexes::open(&table, indexed)?,
            slots: Vec::new(),
            raw_slots: Vec::new(),
            used: 0,
            bytes: 0,
            command,
            batch: MemoryContext::new(c"pg_trickle multi insert"),
            table,
        })
    }

    /// Adds a row; the values are copied.
    pub fn push(&mut self, row: Row<'_>) {
        if self.used >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.flush();
        }
        self.reserve(self.used + 1);
        // SAFETY: nothing to drop in between; there is a free slot.
        unsafe { unguarded::guarded(|| self.push_unguarded(row)) };
    }

    /// Makes room for `rows`, at most for a full batch.
    pub fn reserve(&mut self, rows: usize) {
        while self.slots.len() < rows.min(BATCH_ROWS) {
            let slot = Slot::new(self.table.tuple_desc(), SlotKind::Heap);
            self.raw_slots.push(slot.as_ptr());
            self.slots.push(slot);
        }
    }

    /// How many rows can be added before a [`MultiInsert::flush`].
    #[inline]
    pub fn free(&self) -> usize {
        if self.bytes >= BATCH_BYTES {
            return 0;
        }
        self.raw_slots.len() - self.used
    }

    /// Like [`MultiInsert::push`], for loops with a guard around them.
    ///
    /// # Safety
    /// Called within [`unguarded::guarded`], when [`MultiInsert::free`] is not 0. The row is one of
    /// the table's.
    #[inline]
    pub unsafe fn push_unguarded(&mut self, row: Row<'_>) {
        let Some(slot) = self.raw_slots.get(self.used) else {
            return;
        };
        // SAFETY: per contract; the slot frees the tuple when cleared. A value out of line, in
        // whatever table, is fetched when the tuple is inserted.
        unsafe {
            let previous = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = self.batch.as_ptr();
            let desc = self.table.tuple_desc();
            let tuple = unguarded::heap_form_tuple(desc, row.values.as_ptr(), row.nulls.as_ptr());
            pg_sys::CurrentMemoryContext = previous;
            self.bytes += (*tuple).t_len as usize;
            unguarded::ExecStoreHeapTuple(tuple, *slot, true);
        }
        self.used += 1;
    }

    /// Writes what is left and closes the table.
    pub fn finish(mut self) {
        self.flush();
        self.indexes.finish();
    }

    /// Writes the rows added so far.
    pub fn flush(&mut self) {
        if self.used == 0 {
            return;
        }
        let table = self.table.as_ptr();
        let (slots, used) = (self.raw_slots.as_mut_slice(), self.used);
        let (indexes, command) = (self.indexes.of_pages(), self.command);
        let batch = self.batch.as_ptr();
        // SAFETY: the first `used` slots hold rows of the table's row type. Nothing to drop; an
        // error sets the memory context itself.
        unsafe {
            unguarded::guarded(|| {
                let previous = pg_sys::CurrentMemoryContext;
                pg_sys::CurrentMemoryContext = batch;
                let none = std::ptr::null_mut();
                unguarded::heap_multi_insert(
                    table,
                    slots.as_mut_ptr(),
                    used as i32,
                    command,
                    0,
                    none,
                );
                pg_sys::CurrentMemoryContext = previous;
                for slot in slots.iter().take(used) {
                    for index in indexes.iter_mut() {
                        index.insert_unguarded(table, *slot);
                    }
                }
            });
            self.indexes
                .enter_rows(slots.get(..used).unwrap_or_default());
            unguarded::guarded(|| {
                for slot in slots.iter().take(used) {
                    if let Some(clear) = (*(**slot).tts_ops).clear {
                        clear(*slot);
                    }
                }
            });
        }
        self.batch.reset();
        self.used = 0;
        self.bytes = 0;
    }
}

impl Drop for MultiInsert {
    fn drop(&mut self) {
        debug_assert!(self.used == 0 || is_aborting(), "rows were not written");
    }
}

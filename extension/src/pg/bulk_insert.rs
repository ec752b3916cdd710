//! Batches of rows for a table: one call and, per page, one log record each, as COPY writes them.
//!
//! A statement whose rows are inserted as they arrive may have a parallel plan, like CREATE TABLE AS: only
//! assigning a transaction id or command id while it runs is forbidden, and both are assigned before.

use std::ptr;

use super::memory::MemoryContext;
use super::relation::Relation;
use super::row::Row;
use super::slot::{Slot, SlotKind};
use super::{is_aborting, statement_triggers, unguarded};
use pgrx::pg_sys;

/// Rows per batch, as COPY has it.
const BATCH_ROWS: usize = 1000;
/// Bytes per batch.
const BATCH_BYTES: usize = 1 << 18;

/// Rows that wait to be written to an open table.
#[derive(Debug)]
pub struct Batch {
    table: pg_sys::Relation,
    slots: Vec<Slot>,
    raw_slots: Vec<*mut pg_sys::TupleTableSlot>,
    used: usize,
    bytes: usize,
    /// Holds the tuples.
    tuples: MemoryContext,
    /// Holds the slots: rows are added where other memory is the current one.
    lasting: MemoryContext,
}

impl Batch {
    /// None, for a heap that stays open, locked in ROW EXCLUSIVE mode or stronger.
    pub fn of(table: pg_sys::Relation) -> Self {
        // SAFETY: we are in a transaction.
        unsafe { pg_sys::GetCurrentTransactionId() };
        Batch {
            table,
            slots: Vec::new(),
            raw_slots: Vec::new(),
            used: 0,
            bytes: 0,
            tuples: MemoryContext::new(c"pg_trickle batch"),
            lasting: MemoryContext::new(c"pg_trickle batch slots"),
        }
    }

    /// Whether it should be written before more rows come.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.used >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Adds a row of the table's row type; the values are copied.
    pub fn push(&mut self, row: Row<'_>) {
        // SAFETY: the table is open.
        let desc = unsafe { (*self.table).rd_att };
        if self.used == self.slots.len() {
            let slot = self.lasting.within(|| Slot::new(desc, SlotKind::Heap));
            self.raw_slots.push(slot.as_ptr());
            self.slots.push(slot);
        }
        let Some(slot) = self.raw_slots.get(self.used).copied() else {
            return;
        };
        let tuples = self.tuples.as_ptr();
        // SAFETY: both slices cover the table's columns; nothing to drop in between. The slot frees the tuple when
        // it is cleared. A value out of line, in whatever table, is fetched when the tuple is inserted.
        let bytes = unsafe {
            unguarded::guarded(|| {
                let previous = pg_sys::CurrentMemoryContext;
                pg_sys::CurrentMemoryContext = tuples;
                let tuple =
                    unguarded::heap_form_tuple(desc, row.values.as_ptr(), row.nulls.as_ptr());
                pg_sys::CurrentMemoryContext = previous;
                unguarded::ExecStoreHeapTuple(tuple, slot, true);
                (*tuple).t_len as usize
            })
        };
        self.bytes += bytes;
        self.used += 1;
    }

    /// Writes the rows, and returns them with their places. They stay until [`Batch::clear`].
    pub fn write(&mut self) -> &mut [Slot] {
        self.write_to(0, ptr::null_mut())
    }

    fn write_to(&mut self, options: u32, state: pg_sys::BulkInsertState) -> &mut [Slot] {
        let (table, tuples) = (self.table, self.tuples.as_ptr());
        let (slots, used) = (self.raw_slots.as_mut_ptr(), self.used);
        if let ([row], 0) = (self.raw_slots.get(..used).unwrap_or_default(), options) {
            // SAFETY: as below.
            unsafe { pg_sys::simple_table_tuple_insert(table, *row) };
        } else if used > 0 {
            // SAFETY: the first `used` slots hold rows of the table's row type. Nothing to drop; an error sets the
            // memory context itself.
            unsafe {
                unguarded::guarded(|| {
                    unguarded::check_for_interrupts();
                    let previous = pg_sys::CurrentMemoryContext;
                    pg_sys::CurrentMemoryContext = tuples;
                    let (count, options) = (used as i32, options as i32);
                    let command = unguarded::GetCurrentCommandId(true);
                    unguarded::heap_multi_insert(table, slots, count, command, options, state);
                    pg_sys::CurrentMemoryContext = previous;
                });
            }
        }
        self.slots.get_mut(..used).unwrap_or_default()
    }

    /// Forgets the rows, which have been written.
    pub fn clear(&mut self) {
        for slot in self.slots.iter_mut().take(self.used) {
            slot.clear();
        }
        self.tuples.reset();
        self.used = 0;
        self.bytes = 0;
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        debug_assert!(self.used == 0 || is_aborting(), "rows were not written");
    }
}

/// Fills a table of which nothing but the heap has to be served; [`Filler::finish`] writes the last batch.
#[derive(Debug)]
pub struct Filler {
    batch: Batch,
    rows: u64,
    state: pg_sys::BulkInsertState,
}

impl Filler {
    /// For an empty heap without indexes and constraints, and without triggers but the guard; `None` for others. The
    /// table stays open, locked in ROW EXCLUSIVE mode or stronger.
    pub fn of(table: &Relation) -> Option<Self> {
        match table.indexes().is_empty() {
            true => Self::before_indexes(table),
            false => None,
        }
    }

    /// The same for one whose indexes are made when it is full.
    pub fn before_indexes(table: &Relation) -> Option<Self> {
        // SAFETY: an open relation has its pg_class row and its row type.
        let is_plain = unsafe {
            let raw = table.as_ptr();
            is_heap(raw) && !(*(*raw).rd_rel).relispartition && (*(*raw).rd_att).constr.is_null()
        };
        let suits = is_plain && statement_triggers::are_only_guards(table);
        suits.then(|| Filler {
            batch: Batch::of(table.as_ptr()),
            rows: 0,
            // SAFETY: allocated in the current memory context, which outlives the filler.
            state: unsafe { pg_sys::GetBulkInsertState() },
        })
    }

    /// Adds a row of the table's row type; the values are copied.
    pub fn push(&mut self, row: Row<'_>) {
        if self.batch.is_full() {
            self.flush();
        }
        self.batch.push(row);
        self.rows += 1;
    }

    /// Writes what is left, and returns the number of rows.
    pub fn finish(mut self) -> u64 {
        self.flush();
        self.rows
    }

    fn flush(&mut self) {
        self.batch
            .write_to(pg_sys::TABLE_INSERT_SKIP_FSM, self.state);
        self.batch.clear();
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: made with the filler, freed once.
            unsafe { pg_sys::FreeBulkInsertState(self.state) };
        }
    }
}

/// Whether a table is a heap.
///
/// # Safety
/// The relation is open.
pub unsafe fn is_heap(table: pg_sys::Relation) -> bool {
    // SAFETY: an open relation has its pg_class row.
    unsafe { (*(*table).rd_rel).relam == pg_sys::HEAP_TABLE_AM_OID }
}

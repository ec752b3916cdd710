//! Tuple table slots.

use super::is_aborting;
use super::row::Row;
use super::tupdesc::attributes;
use pgrx::pg_sys;

/// The kind of tuple that a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// Values and null flags.
    Virtual,
    /// A heap tuple of its own.
    Heap,
    /// A minimal tuple, as tuplestores hold them.
    Minimal,
    /// A heap tuple in a shared buffer, as heap scans return them.
    BufferHeap,
}

impl SlotKind {
    fn ops(self) -> *const pg_sys::TupleTableSlotOps {
        match self {
            SlotKind::Virtual => &raw const pg_sys::TTSOpsVirtual,
            SlotKind::Heap => &raw const pg_sys::TTSOpsHeapTuple,
            SlotKind::Minimal => &raw const pg_sys::TTSOpsMinimalTuple,
            SlotKind::BufferHeap => &raw const pg_sys::TTSOpsBufferHeapTuple,
        }
    }
}

/// A slot of its own, dropped with its tuple.
#[derive(Debug)]
pub struct Slot {
    raw: *mut pg_sys::TupleTableSlot,
}

impl Slot {
    /// A slot for rows of type `desc`, in the current memory context.
    pub fn new(desc: pg_sys::TupleDesc, kind: SlotKind) -> Self {
        // SAFETY: desc is valid; the slot holds a reference to it if it is counted.
        let raw = unsafe { pg_sys::MakeSingleTupleTableSlot(desc, kind.ops()) };
        Slot { raw }
    }

    /// Takes over a slot that the server made.
    ///
    /// # Safety
    /// `raw` is a valid single slot that nothing else drops.
    pub unsafe fn adopt(raw: *mut pg_sys::TupleTableSlot) -> Self {
        Slot { raw }
    }

    /// Where the row is stored.
    pub fn tid(&self) -> pg_sys::ItemPointerData {
        // SAFETY: the slot lives as long as self.
        unsafe { (*self.raw).tts_tid }
    }

    /// The place of a row version that its row has in this column, of type `tid`.
    pub fn place_at(&mut self, column: usize) -> Option<pg_sys::ItemPointerData> {
        // SAFETY: the slot lives as long as self, and with it its row type.
        let desc = unsafe { (*self.raw).tts_tupleDescriptor };
        let is_place = attributes(desc).get(column)?.atttypid == pg_sys::TIDOID;
        let (value, is_null) = self.row().get(column)?;
        let place = value.cast_mut_ptr::<pg_sys::ItemPointerData>();
        // SAFETY: a value of type tid that is not NULL points to one; it may not be aligned.
        (is_place && !is_null).then(|| unsafe { place.read_unaligned() })
    }

    /// For calls to the server.
    pub fn as_ptr(&self) -> *mut pg_sys::TupleTableSlot {
        self.raw
    }

    /// Whether it holds no row.
    pub fn is_empty(&self) -> bool {
        // SAFETY: the slot lives as long as self.
        unsafe { u32::from((*self.raw).tts_flags) & pg_sys::TTS_FLAG_EMPTY != 0 }
    }

    /// Lets go of its row.
    pub fn clear(&mut self) {
        // SAFETY: as above.
        unsafe { pg_sys::ExecClearTuple(self.raw) };
    }

    /// Its row; by-reference values live as long as that.
    pub fn row(&mut self) -> Row<'_> {
        // SAFETY: after slot_getallattrs both arrays have natts initialised elements.
        unsafe {
            pg_sys::slot_getallattrs(self.raw);
            let natts = (*(*self.raw).tts_tupleDescriptor).natts as usize;
            Row {
                values: std::slice::from_raw_parts((*self.raw).tts_values, natts),
                nulls: std::slice::from_raw_parts((*self.raw).tts_isnull, natts),
            }
        }
    }

    /// Fills an empty slot: `fill` sets every value and null flag, then the slot holds that row.
    /// Values are not copied.
    pub fn store_virtual(&mut self, fill: impl FnOnce(&mut [pg_sys::Datum], &mut [bool])) {
        self.clear();
        // SAFETY: both arrays have natts elements; the slot is empty, as ExecStoreVirtualTuple
        // demands. The arrays are zeroed first, since a new slot's are not initialised.
        unsafe {
            let natts = (*(*self.raw).tts_tupleDescriptor).natts as usize;
            std::ptr::write_bytes((*self.raw).tts_values, 0, natts);
            std::ptr::write_bytes((*self.raw).tts_isnull, 1, natts);
            fill(
                std::slice::from_raw_parts_mut((*self.raw).tts_values, natts),
                std::slice::from_raw_parts_mut((*self.raw).tts_isnull, natts),
            );
            pg_sys::ExecStoreVirtualTuple(self.raw);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: made by MakeSingleTupleTableSlot, dropped once.
            unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.raw) }
        }
    }
}

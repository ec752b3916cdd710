//! Scanning a change buffer under the active snapshot, without executor and plan. A large buffer is
//! read through its BRIN index, so that what one slow consumer holds back does not make every other
//! consumer's refresh read it all.

use super::is_aborting;
use super::memory::MemoryContext;
use super::relation::Relation;
use super::slot::Slot;
use crate::error::Result;
use pgrx::pg_sys;
use std::cell::Cell;
use std::ops::Range;

/// From this many pages on the index is asked first.
pub const INDEXED_PAGES: u32 = 256;

/// A scan of change rows; their first three columns are xid, epoch and weight.
#[derive(Debug)]
pub struct ChangeScan<'a> {
    table: &'a Relation,
    slot: Slot,
    scan: pg_sys::TableScanDesc,
    /// Page ranges still to scan, the next one last; `None` in a scan of everything.
    ranges: Option<Vec<Range<u32>>>,
    width: usize,
}

impl<'a> ChangeScan<'a> {
    /// Scans all rows whose xid may be at least `first_xid`.
    pub fn begin(table: &'a Relation, first_xid: u64) -> Result<Self> {
        let ranges = match (table.blocks(), table.indexes().as_slice()) {
            (blocks, [index]) if blocks >= INDEXED_PAGES && first_xid > 0 => {
                Some(pages_from(table, *index, first_xid, blocks)?)
            }
            _ => None,
        };
        // SAFETY: the table is open; the slot is dropped before it is closed.
        let slot = unsafe {
            Slot::adopt(pg_sys::table_slot_create(
                table.as_ptr(),
                std::ptr::null_mut(),
            ))
        };
        // SAFETY: as above.
        let width = unsafe { (*table.tuple_desc()).natts as usize };
        let mut this = ChangeScan {
            table,
            slot,
            scan: std::ptr::null_mut(),
            ranges,
            width,
        };
        if this.ranges.is_none() {
            // SAFETY: the active snapshot outlives the scan.
            this.scan = unsafe {
                pg_sys::table_beginscan(
                    table.as_ptr(),
                    pg_sys::GetActiveSnapshot(),
                    0,
                    std::ptr::null_mut(),
                )
            };
        }
        Ok(this)
    }

    /// The next row that `wanted` says yes to by its xid and epoch.
    pub fn next(
        &mut self,
        wanted: impl Fn(u64, i32) -> bool,
    ) -> Option<(&[pg_sys::Datum], &[bool])> {
        while self.fetch() {
            pgrx::check_for_interrupts!();
            let slot = self.slot.as_ptr();
            // SAFETY: the slot holds a row whose first two columns are NOT NULL.
            let (xid, epoch) = unsafe {
                pg_sys::slot_getsomeattrs(slot, 2);
                let values = (*slot).tts_values;
                ((*values).value() as u64, (*values.add(1)).value() as i32)
            };
            if !wanted(xid, epoch) {
                continue;
            }
            // SAFETY: all columns are filled now.
            return unsafe {
                pg_sys::slot_getsomeattrs(slot, self.width as i32);
                Some((
                    std::slice::from_raw_parts((*slot).tts_values, self.width),
                    std::slice::from_raw_parts((*slot).tts_isnull, self.width),
                ))
            };
        }
        None
    }

    /// The xid and epoch of the next row.
    pub fn next_id(&mut self) -> Option<(u64, i32)> {
        let id = Cell::new((0, 0));
        self.next(|xid, epoch| {
            id.set((xid, epoch));
            true
        })
        .map(|_| id.get())
    }

    /// Where the row that `next` returned is stored.
    pub fn tid(&self) -> pg_sys::ItemPointerData {
        self.slot.tid()
    }

    fn fetch(&mut self) -> bool {
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        loop {
            if !self.scan.is_null() {
                // SAFETY: scan and slot belong to the table; a scan over a range of pages has its
                // own way to the next row.
                let found = unsafe {
                    match self.ranges {
                        None => {
                            pg_sys::table_scan_getnextslot(self.scan, forward, self.slot.as_ptr())
                        }
                        Some(_) => pg_sys::table_scan_getnextslot_tidrange(
                            self.scan,
                            forward,
                            self.slot.as_ptr(),
                        ),
                    }
                };
                if found {
                    return true;
                }
            }
            let Some(range) = self.ranges.as_mut().and_then(Vec::pop) else {
                return false;
            };
            self.end();
            let (mut first, mut last) = (tid(range.start, 1), tid(range.end - 1, u16::MAX));
            // SAFETY: the active snapshot outlives the scan; the bounds are copied.
            self.scan = unsafe {
                pg_sys::table_beginscan_tidrange(
                    self.table.as_ptr(),
                    pg_sys::GetActiveSnapshot(),
                    &mut first,
                    &mut last,
                )
            };
        }
    }

    fn end(&mut self) {
        if !self.scan.is_null() {
            // SAFETY: begun once, ended once.
            unsafe { pg_sys::table_endscan(self.scan) };
            self.scan = std::ptr::null_mut();
        }
    }
}

impl Drop for ChangeScan<'_> {
    fn drop(&mut self) {
        if !is_aborting() {
            self.slot.clear();
            self.end();
        }
    }
}

fn tid(block: u32, offset: u16) -> pg_sys::ItemPointerData {
    pg_sys::ItemPointerData {
        ip_blkid: pg_sys::BlockIdData {
            bi_hi: (block >> 16) as u16,
            bi_lo: block as u16,
        },
        ip_posid: offset,
    }
}

/// The ranges of pages that may hold an xid from `first_xid` on, the first one last.
fn pages_from(
    table: &Relation,
    index: pg_sys::Oid,
    first_xid: u64,
    blocks: u32,
) -> Result<Vec<Range<u32>>> {
    let index = Relation::open(index, pg_sys::AccessShareLock as pg_sys::LOCKMODE)?;
    let memory = MemoryContext::new(c"pg_trickle change ranges");
    let mut ranges: Vec<Range<u32>> = Vec::new();
    memory.within(|| {
        let mut key = pg_sys::ScanKeyData::default();
        // SAFETY: the index is over one bigint column; the bitmap and its iterator live in the
        // context just made; pages come in ascending order.
        unsafe {
            pg_sys::ScanKeyEntryInitialize(
                &mut key,
                0,
                1,
                pg_sys::BTGreaterEqualStrategyNumber as pg_sys::StrategyNumber,
                pg_sys::INT8OID,
                pg_sys::InvalidOid,
                pg_sys::Oid::from(pg_sys::F_INT8GE),
                pg_sys::Datum::from(first_xid.cast_signed()),
            );
            // BRIN looks the operator up by the key's type; ScanKeyInit leaves it open.
            key.sk_subtype = pg_sys::INT8OID;
            let scan = pg_sys::index_beginscan_bitmap(
                index.as_ptr(),
                pg_sys::GetActiveSnapshot(),
                std::ptr::null_mut(),
                1,
            );
            pg_sys::index_rescan(scan, &mut key, 1, std::ptr::null_mut(), 0);
            let work_bytes = pg_sys::work_mem as usize * 1024;
            let bitmap = pg_sys::tbm_create(work_bytes, std::ptr::null_mut());
            pg_sys::index_getbitmap(scan, bitmap);
            pg_sys::index_endscan(scan);
            let iterator = pg_sys::tbm_begin_private_iterate(bitmap);
            let mut page = pg_sys::TBMIterateResult::default();
            while pg_sys::tbm_private_iterate(iterator, &mut page) {
                match ranges.last_mut() {
                    Some(range) if range.end == page.blockno => range.end += 1,
                    _ => ranges.push(page.blockno..page.blockno + 1),
                }
            }
            pg_sys::tbm_end_private_iterate(iterator);
        }
    });
    debug_assert!(
        ranges
            .iter()
            .all(|range| range.end <= blocks.max(table.blocks()))
    );
    ranges.reverse();
    Ok(ranges)
}

//! Which pages of a change buffer may hold rows of a transaction from a given one on.
//!
//! Consumed rows stay until it pays to remove them. A look at a page's rows tells at once that none of
//! them is wanted, a hundred times faster than to ask for each whether it is visible. Of a large buffer
//! the BRIN index tells first which pages are worth a look.

use super::memory::MemoryContext;
use super::relation::Relation;
use super::unguarded;
use crate::error::Result;
use pgrx::pg_sys;
use std::ops::Range;

/// From this many pages on the index is asked first.
pub const INDEXED_PAGES: u32 = 256;

/// The ranges of pages that hold a row, visible or not, with an xid from `first_xid` on; the first
/// one last. What the active snapshot shows was written before it was taken, so that it is found.
pub(super) fn pages_from(table: &Relation, first_xid: u64) -> Result<Vec<Range<u32>>> {
    let blocks = table.blocks();
    let candidates = match table.indexes().as_slice() {
        [index] if blocks >= INDEXED_PAGES => indexed_pages(*index, first_xid, blocks)?,
        _ => vec![0..blocks; usize::from(blocks > 0)],
    };
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for block in candidates.into_iter().flatten() {
        // SAFETY: the table is open and locked, and has the page; xid is its first column.
        if unsafe { unguarded::guarded(|| page_reaches(table.as_ptr(), block, first_xid)) } {
            extend(&mut ranges, block);
        }
    }
    ranges.reverse();
    Ok(ranges)
}

fn extend(ranges: &mut Vec<Range<u32>>, block: u32) {
    match ranges.last_mut() {
        Some(range) if range.end == block => range.end += 1,
        _ => ranges.push(block..block + 1),
    }
}

/// Whether a row of the page has an xid from `first_xid` on.
///
/// # Safety
/// Called within [`unguarded::guarded`]. The table is open, has the page, and its first column is a
/// `bigint` that is never NULL.
unsafe fn page_reaches(table: pg_sys::Relation, block: u32, first_xid: u64) -> bool {
    // SAFETY: the page is pinned and locked while it is read. A tuple's first column, NOT NULL and
    // aligned like the tuple, stands where the header ends.
    unsafe {
        unguarded::check_for_interrupts();
        let buffer = unguarded::ReadBuffer(table, block);
        unguarded::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as i32);
        let page = pg_sys::BufferGetPage(buffer).cast::<u8>().cast_const();
        let header = page.cast::<pg_sys::PageHeaderData>();
        let items = (&raw const (*header).pd_linp).cast::<pg_sys::ItemIdData>();
        let items_at = items.byte_offset_from_unsigned(page);
        let bytes = usize::from((*header).pd_lower).saturating_sub(items_at);
        let mut found = false;
        for number in 0..bytes / size_of::<pg_sys::ItemIdData>() {
            let item = &*items.add(number);
            if item.lp_flags() == pg_sys::LP_NORMAL {
                let tuple = page.add(item.lp_off() as usize);
                let start = (*tuple.cast::<pg_sys::HeapTupleHeaderData>()).t_hoff;
                let xid = *tuple.add(usize::from(start)).cast::<i64>();
                if xid.cast_unsigned() >= first_xid {
                    found = true;
                    break;
                }
            }
        }
        unguarded::UnlockReleaseBuffer(buffer);
        found
    }
}

/// The ranges of pages of which the BRIN index says that they may hold an xid from `first_xid` on.
fn indexed_pages(index: pg_sys::Oid, first_xid: u64, blocks: u32) -> Result<Vec<Range<u32>>> {
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
                // Summaries may reach beyond the end.
                if page.blockno < blocks {
                    extend(&mut ranges, page.blockno);
                }
            }
            pg_sys::tbm_end_private_iterate(iterator);
        }
    });
    Ok(ranges)
}

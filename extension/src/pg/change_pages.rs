//! Which rows or pages of a change buffer may belong to transactions from a given one on.
//!
//! Consumed rows stay until it pays to remove them. Scanning the ids on a page shows that none of its rows
//! is wanted, a hundred times faster than visibility checks, and the result is
//! cached until the page changes. For a large buffer the BRIN index first selects pages.
//! A few rows are fetched by their place.

use super::change_index;
use super::lock_mode::LockMode;
use super::memory::MemoryContext;
use super::place::tid;
use super::relation::Relation;
use super::unguarded;
use super::version::{bitmap, buffer_lock};
use crate::error::Result;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

/// From this many pages on the index is asked first.
pub const INDEXED_PAGES: u32 = 256;
/// Up to so many rows are fetched one by one; beyond, whole pages are read.
const ROWS_MAX: usize = 16;
/// How many pages of a large buffer tell about how many rows it has: those of one statement fill their pages alike.
const SAMPLED_PAGES: usize = 256;

/// What may hold a row with an xid from a given one on, visible or not. The next one last.
#[derive(Debug)]
pub(super) enum Candidates {
    /// These rows.
    Rows(Vec<pg_sys::ItemPointerData>),
    /// Any row of these pages.
    Pages(Vec<Range<u32>>),
}

/// What the last look at a page found. It holds for as long as the page has the same LSN: every change to
/// a page gives it a new one.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    lsn: u64,
    last_xid: u64,
}

thread_local! {
    /// The last looks at the pages of each buffer.
    static LOOKS: RefCell<HashMap<u32, Vec<Look>>> = RefCell::default();
}

/// What holds a row, visible or not, with an xid from `first_xid` on. What the active snapshot shows was
/// written before it was taken, so that it is found.
pub(super) fn candidates(table: &Relation, first_xid: u64) -> Result<Candidates> {
    let blocks = table.blocks();
    if blocks >= INDEXED_PAGES
        && let Some(index) = change_index::usable(table)
    {
        let mut search = Search::new(table, first_xid);
        for block in indexed_pages(index, first_xid, blocks)?
            .into_iter()
            .flatten()
        {
            search.look_at(block, &mut Look::default());
        }
        return Ok(search.found());
    }
    let mut looks = take_looks(table, blocks);
    let mut search = Search::new(table, first_xid);
    for (block, look) in (0..blocks).zip(&mut looks) {
        search.look_at(block, look);
    }
    keep_looks(table, looks);
    Ok(search.found())
}

/// The last looks at a buffer's pages. Taken, not borrowed: what is looked at may raise an error, which must
/// not poison the cell.
fn take_looks(table: &Relation, blocks: u32) -> Vec<Look> {
    let key = table.oid().to_u32();
    let mut looks = LOOKS.with_borrow_mut(|looks| looks.remove(&key).unwrap_or_default());
    looks.resize(blocks as usize, Look::default());
    looks
}

fn keep_looks(table: &Relation, looks: Vec<Look>) {
    LOOKS.with_borrow_mut(|all| all.insert(table.oid().to_u32(), looks));
}

/// Looks at the pages of a buffer, to be repeated: a page that has not changed since is passed over where all that it
/// holds is older than what is looked for.
#[derive(Debug, Default)]
pub struct Looks(Vec<Look>);

/// The first page with a row to whose xid, from `first_xid` on, and epoch `wanted` says yes, visible or not. `wanted`
/// must not panic. There is an active snapshot, under which the index is read.
pub fn first_page(
    table: &Relation,
    first_xid: u64,
    wanted: &dyn Fn(u64, i32) -> bool,
    looks: &mut Looks,
) -> Result<Option<u32>> {
    let blocks = table.blocks();
    let mut count = Count::of(table, first_xid, wanted);
    let ranges = match blocks >= INDEXED_PAGES {
        true => pages_from(table, first_xid, blocks)?,
        false => {
            let all = 0..blocks;
            looks.0 = take_looks(table, blocks);
            vec![all]
        }
    };
    looks.0.resize(blocks as usize, Look::default());
    let mut pages = ranges.into_iter().flatten();
    let found = pages.find(|block| {
        if let Some(look) = looks.0.get_mut(*block as usize) {
            count.look_at(*block, look);
        }
        count.rows > 0
    });
    if blocks < INDEXED_PAGES {
        keep_looks(table, std::mem::take(&mut looks.0));
    }
    Ok(found)
}

/// How many rows with an xid from `first_xid` on `wanted` says yes to, visible or not. `wanted` must not panic. There is
/// an active snapshot.
pub fn count_rows(
    table: &Relation,
    first_xid: u64,
    wanted: &dyn Fn(u64, i32) -> bool,
) -> Result<u64> {
    let mut count = Count::of(table, first_xid, wanted);
    let blocks = table.blocks();
    if blocks < INDEXED_PAGES {
        let mut looks = take_looks(table, blocks);
        for (block, look) in (0..blocks).zip(&mut looks) {
            count.look_at(block, look);
        }
        keep_looks(table, looks);
        return Ok(count.rows);
    }
    for block in pages_from(table, first_xid, blocks)?.into_iter().flatten() {
        count.look_at(block, &mut Look::default());
    }
    Ok(count.rows)
}

/// About as many as [`count_rows`] finds: of a large buffer only some of the pages are looked at, and the last one, which
/// may have room left.
pub fn estimate_rows(
    table: &Relation,
    first_xid: u64,
    wanted: &dyn Fn(u64, i32) -> bool,
) -> Result<u64> {
    let blocks = table.blocks();
    if blocks < INDEXED_PAGES {
        return count_rows(table, first_xid, wanted);
    }
    let ranges = pages_from(table, first_xid, blocks)?;
    let mut pages = ranges.into_iter().flatten();
    let mut count = Count::of(table, first_xid, wanted);
    let Some(last) = pages.next_back() else {
        return Ok(0);
    };
    count.look_at(last, &mut Look::default());
    let of_last = std::mem::take(&mut count.rows);
    let full: Vec<u32> = pages.collect();
    let step = full.len().div_ceil(SAMPLED_PAGES).max(1);
    let mut looked_at = 0;
    for block in full.iter().step_by(step) {
        count.look_at(*block, &mut Look::default());
        looked_at += 1;
    }
    Ok(count.rows * full.len() as u64 / looked_at.max(1) + of_last)
}

/// The pages of a large buffer that may hold an xid from `first_xid` on: all of them where no index tells.
fn pages_from(table: &Relation, first_xid: u64, blocks: u32) -> Result<Vec<Range<u32>>> {
    let all = 0..blocks;
    match change_index::usable(table) {
        Some(index) if first_xid > 0 => indexed_pages(index, first_xid, blocks),
        _ => Ok(vec![all]),
    }
}

/// A count of rows, page by page.
struct Count<'a> {
    table: &'a Relation,
    first_xid: u64,
    wanted: &'a dyn Fn(u64, i32) -> bool,
    rows: u64,
    /// Most rows stand behind one of the same statement: its ids, and whether it is wanted.
    last: (u64, i32, bool),
}

impl<'a> Count<'a> {
    fn of(table: &'a Relation, first_xid: u64, wanted: &'a dyn Fn(u64, i32) -> bool) -> Self {
        Count {
            table,
            first_xid,
            wanted,
            rows: 0,
            last: (0, 0, first_xid == 0 && wanted(0, 0)),
        }
    }

    fn look_at(&mut self, block: u32, look: &mut Look) {
        let (first_xid, wanted) = (self.first_xid, self.wanted);
        let (rows, last) = (&mut self.rows, &mut self.last);
        let mut count = |_, xid, epoch| {
            if (xid, epoch) != (last.0, last.1) {
                *last = (xid, epoch, xid >= first_xid && wanted(xid, epoch));
            }
            *rows += u64::from(last.2);
        };
        // SAFETY: the table is open and locked, and has the page; xid and epoch are its first columns.
        unsafe {
            unguarded::guarded(|| {
                look_at_page(self.table.as_ptr(), block, first_xid, look, &mut count);
            });
        }
    }
}

/// A search of a buffer, page by page in ascending order.
struct Search<'a> {
    table: &'a Relation,
    first_xid: u64,
    /// The rows so far, until there are too many.
    rows: Vec<pg_sys::ItemPointerData>,
    pages: Vec<Range<u32>>,
}

impl<'a> Search<'a> {
    fn new(table: &'a Relation, first_xid: u64) -> Self {
        Search {
            table,
            first_xid,
            rows: Vec::new(),
            pages: Vec::new(),
        }
    }

    fn look_at(&mut self, block: u32, look: &mut Look) {
        let mut hits = Hits::default();
        let mut keep = |offset, xid, _| {
            if xid >= self.first_xid
                && let Some(free) = hits.offsets.get_mut(hits.count)
            {
                *free = offset;
                hits.count += 1;
            }
        };
        // SAFETY: the table is open and locked, and has the page; xid and epoch are its first columns.
        unsafe {
            unguarded::guarded(|| {
                look_at_page(self.table.as_ptr(), block, self.first_xid, look, &mut keep);
            });
        }
        if hits.count == 0 {
            return;
        }
        extend(&mut self.pages, block);
        let room = ROWS_MAX + 1 - self.rows.len();
        let offsets = hits.offsets.iter().take(hits.count).take(room);
        self.rows.extend(offsets.map(|offset| tid(block, *offset)));
    }

    fn found(mut self) -> Candidates {
        if self.rows.len() > ROWS_MAX {
            self.pages.reverse();
            Candidates::Pages(self.pages)
        } else {
            self.rows.reverse();
            Candidates::Rows(self.rows)
        }
    }
}

/// Where on a page the rows are that were looked for: the first ones.
#[derive(Default)]
struct Hits {
    count: usize,
    offsets: [u16; ROWS_MAX + 1],
}

fn extend(ranges: &mut Vec<Range<u32>>, block: u32) {
    match ranges.last_mut() {
        Some(range) if range.end == block => range.end += 1,
        _ => ranges.push(block..block + 1),
    }
}

/// Shows offset, xid and epoch of the page's rows to `visit`, unless the last look says that none has an xid
/// from `first_xid` on.
///
/// # Safety
/// Called within [`unguarded::guarded`]. The table is open, has the page, and its first columns are a `bigint`
/// and an `integer` that are never NULL. `visit` does not panic.
unsafe fn look_at_page(
    table: pg_sys::Relation,
    block: u32,
    first_xid: u64,
    look: &mut Look,
    visit: &mut impl FnMut(u16, u64, i32),
) {
    // SAFETY: the page is pinned and locked while it is read. A tuple's first column, NOT NULL and
    // aligned like the tuple, stands where the header ends, and the second one after it.
    unsafe {
        unguarded::check_for_interrupts();
        let buffer = unguarded::ReadBuffer(table, block);
        // A page that was never logged has none.
        let is_known = look.lsn != 0 && look.lsn == unguarded::BufferGetLSNAtomic(buffer);
        if is_known && look.last_xid < first_xid {
            unguarded::ReleaseBuffer(buffer);
            return;
        }
        buffer_lock::share(buffer);
        look.lsn = unguarded::BufferGetLSNAtomic(buffer);
        look.last_xid = 0;
        let page = pg_sys::BufferGetPage(buffer).cast::<u8>().cast_const();
        let header = page.cast::<pg_sys::PageHeaderData>();
        let items = (&raw const (*header).pd_linp).cast::<pg_sys::ItemIdData>();
        let items_at = items.byte_offset_from_unsigned(page);
        let bytes = usize::from((*header).pd_lower).saturating_sub(items_at);
        for number in 0..bytes / size_of::<pg_sys::ItemIdData>() {
            let item = &*items.add(number);
            if item.lp_flags() == pg_sys::LP_NORMAL {
                let tuple = page.add(item.lp_off() as usize);
                let start = (*tuple.cast::<pg_sys::HeapTupleHeaderData>()).t_hoff;
                let columns = tuple.add(usize::from(start));
                let xid = (*columns.cast::<i64>()).cast_unsigned();
                let epoch = *columns.add(size_of::<i64>()).cast::<i32>();
                look.last_xid = look.last_xid.max(xid);
                visit(number as u16 + 1, xid, epoch);
            }
        }
        unguarded::UnlockReleaseBuffer(buffer);
    }
}

/// The ranges of pages of which the BRIN index says that they may hold an xid from `first_xid` on.
fn indexed_pages(index: pg_sys::Oid, first_xid: u64, blocks: u32) -> Result<Vec<Range<u32>>> {
    let index = Relation::open(index, LockMode::AccessShare)?;
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
            let scan = bitmap::begin(index.as_ptr(), pg_sys::GetActiveSnapshot(), 1);
            pg_sys::index_rescan(scan, &mut key, 1, std::ptr::null_mut(), 0);
            let work_bytes = pg_sys::work_mem as usize * 1024;
            let pages = bitmap::create(work_bytes);
            pg_sys::index_getbitmap(scan, pages);
            pg_sys::index_endscan(scan);
            bitmap::each_page(pages, |block| {
                // Summaries may reach beyond the end.
                if block < blocks {
                    extend(&mut ranges, block);
                }
            });
        }
    });
    Ok(ranges)
}

//! The indexes of a change buffer, as its writers and readers use them.
//!
//! Ours is a BRIN over the first column, the transaction id, which is the same in all rows of one writer: it needs one
//! entry per page, not per row, since a summary that covers the value covers all. There may be several such indexes, or
//! invalid ones: `REINDEX CONCURRENTLY` adds a second one, which it leaves behind if it is cancelled. Where there is an index of
//! another kind, rows are entered as the executor does it.

use super::is_aborting;
use super::lock_mode::LockMode;
use super::place::block_of;
use super::relation::Relation;
use super::unguarded;
use super::version::row_writing;
use crate::error::Result;
use pgrx::pg_sys;

/// `integer_minmax_ops` in `pg_opfamily.dat`.
const INTEGER_MINMAX: pg_sys::Oid = pg_sys::Oid::from_u32(4054);

/// The indexes that a writer to an open buffer serves.
#[derive(Debug)]
pub enum WrittenIndexes {
    /// All are like ours.
    Pages(Vec<PageIndex>),
    /// There is another one.
    Rows(RowIndexes),
}

impl WrittenIndexes {
    /// Opens those that are ready for entries. `value` is what all rows have in the first column.
    pub fn open(table: &Relation, value: pg_sys::Datum) -> Result<Self> {
        let mut ours = Vec::new();
        for oid in table.indexes() {
            let index = Relation::open(oid, LockMode::RowExclusive)?;
            // SAFETY: an open index has its pg_index row.
            if !unsafe { (*(*index.as_ptr()).rd_index).indisready } {
                continue;
            }
            if !is_like_ours(&index) {
                return Ok(WrittenIndexes::Rows(RowIndexes::open(table)));
            }
            ours.push(PageIndex::of(index, value));
        }
        Ok(WrittenIndexes::Pages(ours))
    }

    /// Those that want one entry per page.
    pub fn of_pages(&mut self) -> &mut [PageIndex] {
        match self {
            WrittenIndexes::Pages(indexes) => indexes,
            WrittenIndexes::Rows(_) => &mut [],
        }
    }

    /// Enters rows that have just been written, where each is entered by itself.
    ///
    /// # Safety
    /// The slots hold rows of the open table, with their places.
    pub unsafe fn enter_rows(&mut self, slots: &[*mut pg_sys::TupleTableSlot]) {
        if let WrittenIndexes::Rows(indexes) = self {
            // SAFETY: per contract.
            unsafe { indexes.enter(slots) };
        }
    }

    /// Lets go of what was kept between entries.
    pub fn finish(&mut self) {
        for index in self.of_pages() {
            // SAFETY: the index is open; lets go of the buffer it kept.
            unsafe { pg_sys::index_insert_cleanup(index.relation.as_ptr(), index.info) };
        }
    }
}

/// Through which valid index of a buffer rows are found by transaction id.
pub fn usable(table: &Relation) -> Option<pg_sys::Oid> {
    table.indexes().into_iter().find(|oid| {
        Relation::try_open(*oid, LockMode::AccessShare).is_some_and(|index| {
            // SAFETY: an open index has its pg_index row, and an operator family per column.
            let (is_valid, family) = unsafe {
                let raw = index.as_ptr();
                ((*(*raw).rd_index).indisvalid, *(*raw).rd_opfamily)
            };
            is_valid && is_like_ours(&index) && family == INTEGER_MINMAX
        })
    })
}

/// Whether an index is a BRIN over the first column alone.
fn is_like_ours(index: &Relation) -> bool {
    // SAFETY: open, hence valid; an index has its pg_index row with a number per column.
    unsafe {
        let raw = index.as_ptr();
        let form = &*(*raw).rd_index;
        is_brin(index)
            && form.indnatts == 1
            && form.indkey.values.as_slice(1) == [1]
            && pg_sys::RelationGetIndexPredicate(raw).is_null()
    }
}

/// Whether an index is a BRIN.
pub fn is_brin(index: &Relation) -> bool {
    // SAFETY: the access method's OID is part of the relation's row.
    unsafe { (*(*index.as_ptr()).rd_rel).relam == pg_sys::BRIN_AM_OID }
}

/// An index that wants an entry per page.
#[derive(Debug)]
pub struct PageIndex {
    info: *mut pg_sys::IndexInfo,
    value: pg_sys::Datum,
    /// The page of the last entry.
    page: Option<pg_sys::BlockNumber>,
    relation: Relation,
}

impl PageIndex {
    fn of(relation: Relation, value: pg_sys::Datum) -> Self {
        PageIndex {
            // SAFETY: the index is open.
            info: unsafe { pg_sys::BuildIndexInfo(relation.as_ptr()) },
            value,
            page: None,
            relation,
        }
    }

    /// Enters a row that has just been written, unless its page has an entry.
    ///
    /// # Safety
    /// Called within [`unguarded::guarded`]; the slot holds a row of the open table.
    pub unsafe fn insert_unguarded(
        &mut self,
        table: pg_sys::Relation,
        slot: *mut pg_sys::TupleTableSlot,
    ) {
        // SAFETY: per contract.
        let mut tid = unsafe { (*slot).tts_tid };
        let page = Some(block_of(tid));
        if page == self.page {
            return;
        }
        self.page = page;
        let mut is_null = false;
        // SAFETY: per contract; the index is open.
        unsafe {
            unguarded::index_insert(
                self.relation.as_ptr(),
                &mut self.value,
                &mut is_null,
                &mut tid,
                table,
                pg_sys::IndexUniqueCheck::UNIQUE_CHECK_NO,
                false,
                self.info,
            );
        }
    }
}

/// All indexes of a table, opened as the executor does.
#[derive(Debug)]
pub struct RowIndexes {
    estate: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
}

impl RowIndexes {
    fn open(table: &Relation) -> Self {
        // SAFETY: the table stays open longer than this; what CatalogOpenIndexes does, with a state for expressions.
        unsafe {
            let estate = pg_sys::CreateExecutorState();
            let previous = pg_sys::MemoryContextSwitchTo((*estate).es_query_cxt);
            let size = size_of::<pg_sys::ResultRelInfo>();
            let target = pg_sys::palloc0(size) as *mut pg_sys::ResultRelInfo;
            (*target).type_ = pg_sys::NodeTag::T_ResultRelInfo;
            pg_sys::InitResultRelInfo(target, table.as_ptr(), 0, std::ptr::null_mut(), 0);
            pg_sys::ExecOpenIndices(target, false);
            pg_sys::MemoryContextSwitchTo(previous);
            RowIndexes { estate, target }
        }
    }

    /// # Safety
    /// As [`WrittenIndexes::enter_rows`].
    unsafe fn enter(&mut self, slots: &[*mut pg_sys::TupleTableSlot]) {
        for slot in slots {
            // SAFETY: per contract; the indexes are open.
            unsafe {
                row_writing::enter_in_strict_indexes(self.estate, self.target, *slot);
                let context = (*self.estate).es_per_tuple_exprcontext;
                if !context.is_null() {
                    pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
                }
            }
        }
    }
}

impl Drop for RowIndexes {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: made by open, closed once.
            unsafe {
                pg_sys::ExecCloseIndices(self.target);
                pg_sys::FreeExecutorState(self.estate);
            }
        }
    }
}

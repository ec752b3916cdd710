//! Unique indexes and exclusion constraints, checked after all rows are written.
//!
//! Values may move from one row to another: `1, 2` becomes `2, 1`. If each row were checked as it is written, no order
//! of updates would pass, and a row that keeps its key must not be deleted and inserted, since foreign keys may
//! refer to it. So a possible conflict is checked again at the end, as for a deferred constraint.

use pgrx::pg_sys;
use pgrx::pg_sys::INDEX_MAX_KEYS;

use super::slot::Slot;

/// Rows to look at, by their index.
#[derive(Debug, Default)]
pub struct LateChecks {
    rows: Vec<(pg_sys::Oid, pg_sys::ItemPointerData)>,
}

impl LateChecks {
    /// Puts off the check of the row at `tid` in those of the `doubtful` indexes that no trigger checks.
    ///
    /// # Safety
    /// `target` has its indexes open; `doubtful` is a list of some of their OIDs.
    pub unsafe fn put_off(
        &mut self,
        target: *mut pg_sys::ResultRelInfo,
        doubtful: *mut pg_sys::List,
        tid: pg_sys::ItemPointerData,
    ) {
        // SAFETY: per contract.
        unsafe {
            for at in 0..(*target).ri_NumIndices as usize {
                let index = *(*target).ri_IndexRelationDescs.add(at);
                if !index.is_null()
                    && (*(*index).rd_index).indimmediate
                    && pg_sys::list_member_oid(doubtful, (*index).rd_id)
                {
                    self.rows.push(((*index).rd_id, tid));
                }
            }
        }
    }

    /// Looks at them: an error of the server's if two rows meet.
    ///
    /// # Safety
    /// `target` is the open table of `estate`, with its indexes.
    pub unsafe fn check(self, estate: *mut pg_sys::EState, target: *mut pg_sys::ResultRelInfo) {
        if self.rows.is_empty() {
            return;
        }
        // SAFETY: per contract. One of our rows is there until the transaction ends, whichever snapshot is active.
        unsafe {
            let table = (*target).ri_RelationDesc;
            let mut row = Slot::adopt(pg_sys::table_slot_create(table, std::ptr::null_mut()));
            for (index, mut tid) in self.rows {
                pg_sys::check_for_interrupts!();
                let any = &raw mut pg_sys::SnapshotAnyData;
                if pg_sys::table_tuple_fetch_row_version(table, &mut tid, any, row.as_ptr()) {
                    check_row(estate, target, index, &mut row);
                }
                row.clear();
            }
        }
    }
}

/// # Safety
/// As [`LateChecks::check`]; the slot holds a row of the table.
unsafe fn check_row(
    estate: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    index: pg_sys::Oid,
    row: &mut Slot,
) {
    // SAFETY: per contract; the arrays hold as many values as an index can have columns.
    unsafe {
        let table = (*target).ri_RelationDesc;
        for at in 0..(*target).ri_NumIndices as usize {
            let opened = *(*target).ri_IndexRelationDescs.add(at);
            if opened.is_null() || (*opened).rd_id != index {
                continue;
            }
            let info = *(*target).ri_IndexRelationInfo.add(at);
            let context = (*estate).es_per_tuple_exprcontext;
            let context = if context.is_null() {
                pg_sys::MakePerTupleExprContext(estate)
            } else {
                context
            };
            (*context).ecxt_scantuple = row.as_ptr();
            let mut values = [pg_sys::Datum::from(0); INDEX_MAX_KEYS as usize];
            let mut nulls = [false; INDEX_MAX_KEYS as usize];
            pg_sys::FormIndexDatum(
                info,
                row.as_ptr(),
                estate,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
            let mut tid = row.tid();
            if (*info).ii_ExclusionOps.is_null() {
                pg_sys::index_insert(
                    opened,
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                    &mut tid,
                    table,
                    pg_sys::IndexUniqueCheck::UNIQUE_CHECK_EXISTING,
                    false,
                    info,
                );
            } else {
                pg_sys::check_exclusion_constraint(
                    table,
                    opened,
                    info,
                    &mut tid,
                    values.as_ptr(),
                    nulls.as_ptr(),
                    estate,
                    false,
                );
            }
            pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
        }
    }
}

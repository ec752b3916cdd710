//! Writing rows to a table without SQL: row triggers, constraints, generated columns and indexes
//! are served by the executor's replication helpers. Statement triggers do not fire.

use std::ptr;

use pgrx::pg_sys;

use super::late_rows::LateRows;
use super::relation::Relation;
use super::slot::Slot;

/// An open table with its indexes, ready for writes.
#[derive(Debug)]
pub struct TableWriter {
    estate: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    epq: Box<pg_sys::EPQState>,
    late: Option<LateRows>,
}

impl TableWriter {
    /// Opens the table for writes. It must stay open, locked in ROW EXCLUSIVE mode or stronger. `key` are the
    /// positions of the columns that tell its rows apart, see [`LateRows::of`].
    pub fn open(table: &Relation, key: Option<&[usize]>) -> Self {
        // SAFETY: this is what logical replication's apply worker does (create_edata_for_relation):
        // a range table with the target alone, its ResultRelInfo, and indexes opened for insertion.
        unsafe {
            let estate = pg_sys::CreateExecutorState();
            let previous = pg_sys::MemoryContextSwitchTo((*estate).es_query_cxt);
            let rte =
                pg_sys::palloc0(size_of::<pg_sys::RangeTblEntry>()) as *mut pg_sys::RangeTblEntry;
            (*rte).type_ = pg_sys::NodeTag::T_RangeTblEntry;
            (*rte).rtekind = pg_sys::RTEKind::RTE_RELATION;
            (*rte).relid = table.oid();
            (*rte).relkind = table.kind() as std::ffi::c_char;
            (*rte).rellockmode = pg_sys::AccessShareLock as i32;
            let mut permissions = ptr::null_mut();
            pg_sys::addRTEPermissionInfo(&mut permissions, rte);
            let range_table = pg_sys::lappend(ptr::null_mut(), rte.cast());
            pg_sys::ExecInitRangeTable(
                estate,
                range_table,
                permissions,
                pg_sys::bms_make_singleton(1),
            );
            let target =
                pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()) as *mut pg_sys::ResultRelInfo;
            (*target).type_ = pg_sys::NodeTag::T_ResultRelInfo;
            pg_sys::InitResultRelInfo(target, table.as_ptr(), 1, ptr::null_mut(), 0);
            // Where AFTER triggers look for the table; they would open it again, and not close it.
            (*estate).es_opened_result_relations =
                pg_sys::lappend((*estate).es_opened_result_relations, target.cast());
            (*estate).es_output_cid = pg_sys::GetCurrentCommandId(true);
            (*estate).es_snapshot = pg_sys::GetActiveSnapshot();
            pg_sys::ExecOpenIndices(target, false);
            pg_sys::AfterTriggerBeginQuery();
            let mut epq: Box<pg_sys::EPQState> = Box::new(std::mem::zeroed());
            pg_sys::EvalPlanQualInit(
                &mut *epq,
                estate,
                ptr::null_mut(),
                ptr::null_mut(),
                -1,
                ptr::null_mut(),
            );
            pg_sys::MemoryContextSwitchTo(previous);
            let late = LateRows::of(table, key, (*estate).es_query_cxt);
            TableWriter {
                estate,
                target,
                epq,
                late,
            }
        }
    }

    /// Inserts the slot's row.
    pub fn insert(&mut self, row: &mut Slot) {
        match &mut self.late {
            Some(late) => late.keep(row),
            None => self.insert_now(row),
        }
    }

    fn insert_now(&mut self, row: &mut Slot) {
        // SAFETY: the slot has the table's row type; per-row memory is reset below.
        unsafe {
            pg_sys::ExecSimpleRelationInsert(self.target, self.estate, row.as_ptr());
        }
        self.after_row();
    }

    /// Replaces the row that `stored` was read from.
    pub fn update(&mut self, stored: &mut Slot, row: &mut Slot) {
        if let Some(late) = &mut self.late
            && late.moves(stored, row)
        {
            late.keep(row);
            self.delete(stored);
            return;
        }
        // SAFETY: `stored` carries the row's TID; `row` has the table's row type.
        unsafe {
            pg_sys::ExecSimpleRelationUpdate(
                self.target,
                self.estate,
                &mut *self.epq,
                stored.as_ptr(),
                row.as_ptr(),
            );
        }
        self.after_row();
    }

    /// Deletes the row that `stored` was read from.
    pub fn delete(&mut self, stored: &mut Slot) {
        // SAFETY: `stored` carries the row's TID.
        unsafe {
            pg_sys::ExecSimpleRelationDelete(
                self.target,
                self.estate,
                &mut *self.epq,
                stored.as_ptr(),
            );
        }
        self.after_row();
    }

    /// Inserts what has been kept back, fires queued AFTER ROW triggers and closes the table's indexes.
    pub fn finish(mut self) {
        if let Some(late) = self.late.take() {
            late.each(|row| self.insert_now(row));
        }
        // SAFETY: mirrors open, in reverse.
        unsafe {
            pg_sys::AfterTriggerEndQuery(self.estate);
            pg_sys::EvalPlanQualEnd(&mut *self.epq);
            pg_sys::ExecCloseIndices(self.target);
            pg_sys::ExecResetTupleTable((*self.estate).es_tupleTable, false);
            pg_sys::FreeExecutorState(self.estate);
        }
    }

    fn after_row(&mut self) {
        // SAFETY: the per-tuple context, if there is one, holds nothing that outlives the row.
        unsafe {
            if !(*self.estate).es_per_tuple_exprcontext.is_null() {
                pg_sys::MemoryContextReset(
                    (*(*self.estate).es_per_tuple_exprcontext).ecxt_per_tuple_memory,
                );
            }
            pg_sys::check_for_interrupts!();
        }
    }
}

//! Writing rows to a table without SQL, like one statement that inserts, updates and deletes: with row and statement
//! triggers, transition tables, constraints and indexes.
//!
//! The server's code for logical replication is not enough: it keeps no transition tables, fires no
//! statement triggers and checks unique indexes row by row. Statement triggers fire for each of INSERT, UPDATE and
//! DELETE with at least one row: BEFORE triggers at the first such row, AFTER triggers at the end.

use std::ptr;

use pgrx::pg_sys;

use super::before_row;
use super::bulk_insert::{Batch, is_heap};
use super::changed_columns::ChangedColumns;
use super::late_checks::LateChecks;
use super::lock_mode::LockMode;
use super::memory::Switched;
use super::relation::Relation;
use super::slot::Slot;
use super::statement_triggers::{Change, StatementTriggers};
use super::version::{range_table, row_writing};

/// An open table with its indexes, ready for writes.
#[derive(Debug)]
pub struct TableWriter {
    estate: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    epq: Box<pg_sys::EPQState>,
    /// None for a table whose triggers do not fire.
    triggers: Option<StatementTriggers>,
    changed: Option<ChangedColumns>,
    checks: LateChecks,
    /// Whether rows are inserted together.
    in_batches: bool,
    batch: Option<Batch>,
}

impl TableWriter {
    /// Opens the table for writes. It must stay open, locked in ROW EXCLUSIVE mode or stronger.
    pub fn open(table: &Relation) -> Self {
        Self::begin(table, true)
    }

    /// Opens one of our tables for writes, which fire no triggers. Such writes may lie within each other and within
    /// those that do.
    pub fn without_triggers(table: &Relation) -> Self {
        Self::begin(table, false)
    }

    fn begin(table: &Relation, fires: bool) -> Self {
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
            (*rte).rellockmode = LockMode::AccessShare.raw();
            let mut permissions = ptr::null_mut();
            let permission = pg_sys::addRTEPermissionInfo(&mut permissions, rte);
            let range_table = pg_sys::lappend(ptr::null_mut(), rte.cast());
            range_table::init(estate, range_table, permissions);
            let target =
                pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()) as *mut pg_sys::ResultRelInfo;
            (*target).type_ = pg_sys::NodeTag::T_ResultRelInfo;
            pg_sys::InitResultRelInfo(target, table.as_ptr(), 1, ptr::null_mut(), 0);
            if !fires {
                (*target).ri_TrigDesc = ptr::null_mut();
            }
            // Where AFTER triggers look for the table; they would open it again.
            (*estate).es_opened_result_relations =
                pg_sys::lappend((*estate).es_opened_result_relations, target.cast());
            (*estate).es_output_cid = pg_sys::GetCurrentCommandId(true);
            (*estate).es_snapshot = pg_sys::GetActiveSnapshot();
            pg_sys::ExecOpenIndices(target, false);
            let mut epq: Box<pg_sys::EPQState> = Box::new(std::mem::zeroed());
            pg_sys::EvalPlanQualInit(
                &mut *epq,
                estate,
                ptr::null_mut(),
                ptr::null_mut(),
                -1,
                ptr::null_mut(),
            );
            let triggers = fires.then(|| StatementTriggers::begin(target));
            let changed = ChangedColumns::wanted(target, permission);
            let in_batches = inserts_in_batches(target);
            pg_sys::MemoryContextSwitchTo(previous);
            TableWriter {
                estate,
                target,
                epq,
                triggers,
                changed,
                checks: LateChecks::default(),
                in_batches,
                batch: None,
            }
        }
    }

    /// Inserts the slot's row.
    pub fn insert(&mut self, row: &mut Slot) {
        self.before(Change::Insert);
        if self.in_batches {
            self.insert_later(row);
            return;
        }
        // SAFETY: the slot has the table's row type, and the table is open with its indexes.
        unsafe {
            before_row::insert(self.estate, self.target, row);
            self.check_constraints(row);
            pg_sys::simple_table_tuple_insert((*self.target).ri_RelationDesc, row.as_ptr());
            let postponed = self.enter_in_indexes(row, false, false);
            pg_sys::ExecARInsertTriggers(
                self.estate,
                self.target,
                row.as_ptr(),
                postponed,
                self.capture(),
            );
            pg_sys::list_free(postponed);
        }
        self.after_row();
    }

    /// Adds the slot's row to those that are inserted together.
    fn insert_later(&mut self, row: &mut Slot) {
        // SAFETY: the slot has the table's row type.
        unsafe { self.check_constraints(row) };
        // SAFETY: initialised by begin; the memory lives as long as the writer.
        let (table, memory) =
            unsafe { ((*self.target).ri_RelationDesc, (*self.estate).es_query_cxt) };
        let new = || {
            let _switched = Switched::to(memory);
            Batch::of(table)
        };
        let batch = self.batch.get_or_insert_with(new);
        batch.push(row.row());
        if batch.is_full() {
            self.flush();
        }
        self.after_row();
    }

    /// Inserts the rows that wait for it.
    fn flush(&mut self) {
        let Some(mut batch) = self.batch.take() else {
            return;
        };
        for row in batch.write() {
            // SAFETY: the slot holds a row of the table, with its place. The list is NIL or ours.
            unsafe { pg_sys::list_free(self.enter_in_indexes(row, false, false)) };
            self.after_row();
        }
        batch.clear();
        self.batch = Some(batch);
    }

    /// Replaces the row that `stored` was read from.
    pub fn update(&mut self, stored: &mut Slot, row: &mut Slot) {
        self.before(Change::Update);
        if let Some(changed) = &mut self.changed {
            changed.note(stored, row);
        }
        // SAFETY: `stored` carries the row's TID; `row` has the table's row type.
        unsafe {
            let relation = (*self.target).ri_RelationDesc;
            pg_sys::CheckCmdReplicaIdentity(relation, pg_sys::CmdType::CMD_UPDATE);
            let mut tid = stored.tid();
            before_row::update(self.estate, &mut *self.epq, self.target, &mut tid, row);
            self.check_constraints(row);
            let mut indexes = pg_sys::TU_UpdateIndexes::TU_None;
            pg_sys::simple_table_tuple_update(
                relation,
                &mut tid,
                row.as_ptr(),
                (*self.estate).es_snapshot,
                &mut indexes,
            );
            let postponed = match indexes {
                pg_sys::TU_UpdateIndexes::TU_None => ptr::null_mut(),
                pg_sys::TU_UpdateIndexes::TU_Summarizing => self.enter_in_indexes(row, true, true),
                _ => self.enter_in_indexes(row, true, false),
            };
            pg_sys::ExecARUpdateTriggers(
                self.estate,
                self.target,
                ptr::null_mut(),
                ptr::null_mut(),
                &mut tid,
                ptr::null_mut(),
                row.as_ptr(),
                postponed,
                self.capture(),
                false,
            );
            pg_sys::list_free(postponed);
        }
        self.after_row();
    }

    /// Deletes the row that `stored` was read from.
    pub fn delete(&mut self, stored: &mut Slot) {
        self.delete_at(stored.tid());
    }

    /// Deletes the row at this place, which the snapshot of the writes shows.
    pub fn delete_at(&mut self, mut tid: pg_sys::ItemPointerData) {
        self.before(Change::Delete);
        // SAFETY: the table is open; there is a row with this TID.
        unsafe {
            let relation = (*self.target).ri_RelationDesc;
            pg_sys::CheckCmdReplicaIdentity(relation, pg_sys::CmdType::CMD_DELETE);
            before_row::delete(self.estate, &mut *self.epq, self.target, &mut tid);
            pg_sys::simple_table_tuple_delete(relation, &mut tid, (*self.estate).es_snapshot);
            pg_sys::ExecARDeleteTriggers(
                self.estate,
                self.target,
                &mut tid,
                ptr::null_mut(),
                self.capture(),
                false,
            );
        }
        self.after_row();
    }

    /// Checks what has been put off, fires queued triggers and closes the table's indexes, and whatever the
    /// triggers of foreign keys have opened.
    pub fn finish(mut self) {
        self.flush();
        self.batch = None;
        // SAFETY: mirrors open, in reverse.
        unsafe {
            std::mem::take(&mut self.checks).check(self.estate, self.target);
            if let Some(changed) = &mut self.changed {
                changed.show_all();
            }
            if let Some(triggers) = self.triggers.take() {
                triggers.end(self.estate, self.target);
            }
            pg_sys::EvalPlanQualEnd(&mut *self.epq);
            pg_sys::ExecCloseResultRelations(self.estate);
            pg_sys::ExecResetTupleTable((*self.estate).es_tupleTable, false);
            pg_sys::FreeExecutorState(self.estate);
        }
    }

    fn before(&mut self, change: Change) {
        if let Some(triggers) = &mut self.triggers {
            triggers.before(change, self.estate, self.target);
        }
    }

    fn capture(&self) -> *mut pg_sys::TransitionCaptureState {
        match &self.triggers {
            Some(triggers) => triggers.capture(),
            None => ptr::null_mut(),
        }
    }

    /// # Safety
    /// The slot has the table's row type.
    unsafe fn check_constraints(&self, row: &mut Slot) {
        // SAFETY: per contract; the table is open.
        unsafe {
            let desc = (*(*self.target).ri_RelationDesc).rd_att;
            if !(*desc).constr.is_null() {
                pg_sys::ExecConstraints(self.target, row.as_ptr(), self.estate);
            }
        }
    }

    /// Enters a row that has just been written. What may meet another row in a unique index, or in an exclusion
    /// constraint, is looked at when all rows are as they will be. Returns the indexes where a trigger does that.
    ///
    /// # Safety
    /// The slot holds a row of the table, with its place.
    unsafe fn enter_in_indexes(
        &mut self,
        row: &mut Slot,
        is_update: bool,
        only_summarizing: bool,
    ) -> *mut pg_sys::List {
        // SAFETY: per contract; indexes are open. Without arbiters no index complains of a duplicate.
        unsafe {
            if (*self.target).ri_NumIndices == 0 {
                return ptr::null_mut();
            }
            let (doubtful, conflicts) = row_writing::enter_in_indexes(
                self.estate,
                self.target,
                row.as_ptr(),
                is_update,
                only_summarizing,
            );
            if conflicts {
                self.checks.put_off(self.target, doubtful, row.tid());
            }
            doubtful
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

/// Whether rows can be inserted together: into a heap, without triggers that see each of them.
///
/// # Safety
/// `target` is initialised, its table open.
unsafe fn inserts_in_batches(target: *mut pg_sys::ResultRelInfo) -> bool {
    // SAFETY: per contract; the description of the triggers is the target's own copy.
    unsafe {
        let sees_rows = match (*target).ri_TrigDesc.as_ref() {
            None => false,
            Some(triggers) => {
                triggers.trig_insert_before_row
                    || triggers.trig_insert_after_row
                    || triggers.trig_insert_instead_row
                    || triggers.trig_insert_new_table
            }
        };
        is_heap((*target).ri_RelationDesc) && !sees_rows
    }
}

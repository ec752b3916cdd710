//! Which tables this session is currently writing: by statements whose triggers have not all fired, by COPY, and
//! natively.
//!
//! A table already shows the rows of such a statement, but its transition tables are unread. Locks do not reveal this,
//! since they last until the transaction ends; nor does the table's open count, since cursors open it,
//! too. So the server's hooks around statements record it. For read-only statements they do nothing.
//!
//! Foreign key actions run as separate statements whose triggers fire with those of the statement that
//! caused them: that statement counts as the writer.
//!
//! The executor's hooks have nothing to drop while the server works, so errors may pass through them.

use std::cell::RefCell;

use pgrx::pg_sys;

use super::lock_mode::LockMode;
use super::merge_moves;
use super::relation::Relation;
use super::transaction_end::{self, end_level, nest_level};
use super::unguarded;
use super::utility_hook::{self, table_of};
use super::version::result_relations;

/// A write that has begun.
#[derive(Debug)]
struct Write {
    /// What tells it from others: the place of what describes it.
    id: usize,
    level: i32,
    tables: Vec<pg_sys::Oid>,
    /// Whether it is a TRUNCATE, of which the tables are not known.
    truncates: bool,
}

#[derive(Debug, Default)]
struct Running {
    writes: Vec<Write>,
    /// Whether statements may run that began before the hooks were there.
    is_late: bool,
    natively: usize,
    /// Whether the transaction ran a statement with ON CONFLICT.
    had_conflict_clause: bool,
}

thread_local! {
    static RUNNING: RefCell<Running> = RefCell::default();
}

static mut PREVIOUS_START: pg_sys::ExecutorStart_hook_type = None;
static mut PREVIOUS_FINISH: pg_sys::ExecutorFinish_hook_type = None;

/// Puts the hooks in place, once per process or before it forks.
pub fn init() {
    // SAFETY: one thread; the hooks that were there are called by ours.
    unsafe {
        PREVIOUS_START = pg_sys::ExecutorStart_hook;
        pg_sys::ExecutorStart_hook = Some(on_start);
        PREVIOUS_FINISH = pg_sys::ExecutorFinish_hook;
        pg_sys::ExecutorFinish_hook = Some(on_finish);
        let is_late = pg_sys::IsTransactionState();
        RUNNING.with_borrow_mut(|running| running.is_late = is_late);
    }
    utility_hook::listen(around);
    transaction_end::listen(|_| {
        RUNNING.with_borrow_mut(|running| *running = Running::default());
    });
    transaction_end::listen_to_subtransactions(|end, level| {
        RUNNING.with_borrow_mut(|running| {
            end_level(&mut running.writes, end, level, |write| &mut write.level);
        });
    });
}

/// Whether this session is writing the open table.
pub fn is_written(table: &Relation) -> bool {
    RUNNING.with_borrow(|running| {
        let oid = table.oid();
        let is_named = running.writes.iter().any(|w| w.tables.contains(&oid));
        is_named || running.may_write(table)
    })
}

impl Running {
    /// The same of what the hooks have not seen: statements that began before, and the worker of a subscription.
    fn may_write(&self, table: &Relation) -> bool {
        let holds = |lockmode| table.is_locked_by_me(lockmode, false);
        // SAFETY: reads a variable of the server.
        let is_unseen = self.is_late || unsafe { pg_sys::IsLogicalWorker() };
        let truncates = self.writes.iter().any(|write| write.truncates);
        table.reference_count() > 1
            && (is_unseen && holds(LockMode::RowExclusive)
                || truncates && holds(LockMode::AccessExclusive))
    }

    fn end(&mut self, id: usize) -> Option<Write> {
        let at = self.writes.iter().rposition(|write| write.id == id)?;
        Some(self.writes.remove(at))
    }
}

/// Whether the current transaction has run a statement that began before the hooks were there: the library came with
/// its triggers.
pub fn was_late() -> bool {
    RUNNING.with_borrow(|running| running.is_late)
}

/// Whether the statement that fires triggers of a table is such a one.
pub fn has_begun_unseen(table: pg_sys::Oid) -> bool {
    RUNNING.with_borrow(|running| {
        running.is_late && !running.writes.iter().any(|w| w.tables.contains(&table))
    })
}

/// Whether the current transaction ran a statement with ON CONFLICT.
pub fn had_conflict_clause() -> bool {
    RUNNING.with_borrow(|running| running.had_conflict_clause)
}

/// # Safety
/// A complete statement.
unsafe fn has_conflict_clause(statement: *mut pg_sys::PlannedStmt) -> bool {
    let is_one = |plan: *mut pg_sys::Plan| {
        // SAFETY: per contract; the tag says what may be read.
        unsafe {
            plan.as_ref()
                .is_some_and(|plan| plan.type_ == pg_sys::NodeTag::T_ModifyTable)
                && (*plan.cast::<pg_sys::ModifyTable>()).onConflictAction
                    != pg_sys::OnConflictAction::ONCONFLICT_NONE
        }
    };
    // SAFETY: per contract: the statements of a WITH clause are its sub-plans.
    unsafe {
        let subplans = (*statement).subplans.as_ref();
        let count = subplans.map_or(0, |list| list.length as usize);
        is_one((*statement).planTree)
            || subplans.is_some_and(|list| {
                (0..count).any(|at| is_one((*list.elements.add(at)).ptr_value.cast()))
            })
    }
}

fn begin(id: usize, tables: Vec<pg_sys::Oid>, truncates: bool) {
    let level = nest_level();
    RUNNING.with_borrow_mut(|running| {
        running.writes.push(Write {
            id,
            level,
            tables,
            truncates,
        });
    });
}

/// A table that is being written natively, until drop.
#[derive(Debug)]
pub struct Writing {
    id: usize,
}

/// Notes that the table is being written until the result is dropped.
pub fn writing(table: pg_sys::Oid) -> Writing {
    let id = RUNNING.with_borrow_mut(|running| {
        running.natively += 1;
        running.natively
    });
    begin(id, vec![table], false);
    Writing { id }
}

impl Drop for Writing {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(|running| running.end(self.id));
    }
}

unsafe extern "C-unwind" fn on_start(query: *mut pg_sys::QueryDesc, flags: std::ffi::c_int) {
    // SAFETY: the server passes a complete description; what it passes is passed on.
    unsafe {
        let statement = (*query).plannedstmt;
        let writes =
            (*query).operation != pg_sys::CmdType::CMD_SELECT || (*statement).hasModifyingCTE;
        let writes = writes && flags as u32 & pg_sys::EXEC_FLAG_EXPLAIN_ONLY == 0;
        if writes {
            note(query, statement, flags);
        }
        match PREVIOUS_START {
            Some(next) => next(query, flags),
            None => unguarded::standard_ExecutorStart(query, flags),
        }
        if writes {
            merge_moves::show_in_updates(query);
        }
    }
}

/// # Safety
/// A complete statement.
unsafe fn note(
    query: *mut pg_sys::QueryDesc,
    statement: *mut pg_sys::PlannedStmt,
    flags: std::ffi::c_int,
) {
    // SAFETY: per contract.
    let tables = unsafe { result_relations::of(statement) };
    // SAFETY: per contract.
    if unsafe { has_conflict_clause(statement) } {
        RUNNING.with_borrow_mut(|running| running.had_conflict_clause = true);
    }
    if tables.is_empty() {
        return;
    }
    let fires_later = flags as u32 & pg_sys::EXEC_FLAG_SKIP_TRIGGERS != 0;
    let is_part = fires_later
        && RUNNING.with_borrow_mut(|running| match running.writes.last_mut() {
            None => false,
            Some(cause) => {
                cause.tables.extend(tables.iter().copied());
                true
            }
        });
    if !is_part {
        begin(query as usize, tables, false);
    }
}

unsafe extern "C-unwind" fn on_finish(query: *mut pg_sys::QueryDesc) {
    // SAFETY: what the server passes is passed on.
    unsafe {
        match PREVIOUS_FINISH {
            Some(next) => next(query),
            None => unguarded::standard_ExecutorFinish(query),
        }
    }
    RUNNING.with_borrow_mut(|running| {
        if !running.writes.is_empty() {
            running.end(query as usize);
        }
    });
}

/// # Safety
/// A complete statement.
unsafe fn around(node: *mut pg_sys::Node, run: &mut dyn FnMut()) {
    // SAFETY: per contract; the tag says what it is.
    let notes = unsafe {
        match (*node).type_ {
            pg_sys::NodeTag::T_CopyStmt => note_copy(node.cast()),
            pg_sys::NodeTag::T_TruncateStmt => {
                begin(node as usize, Vec::new(), true);
                true
            }
            _ => false,
        }
    };
    run();
    if notes {
        RUNNING.with_borrow_mut(|running| running.end(node as usize));
    }
}

/// # Safety
/// A complete statement.
unsafe fn note_copy(copy: *mut pg_sys::CopyStmt) -> bool {
    // SAFETY: per contract. A name that stands for no table is the statement's own error.
    unsafe {
        if !(*copy).is_from || (*copy).relation.is_null() {
            return false;
        }
        let table = table_of((*copy).relation);
        if table == pg_sys::InvalidOid {
            return false;
        }
        begin(copy as usize, vec![table], false);
        true
    }
}

//! Statements over ephemeral relations: prepared once, kept, run into tuplestores.
//!
//! Everything here reads only, under the active snapshot: SPI's `read_only` neither takes a
//! snapshot nor raises the command counter.

use std::ffi::CString;
use std::ptr;

use pgrx::pg_sys;

use super::ffi::{CreateTuplestoreDestReceiver, SetTuplestoreDestReceiverParams};
use super::is_aborting;
use super::local_settings::LocalSettings;
use super::receiver::{EachRow, Receiver};
use super::tupdesc::{Column, attributes};
use super::tuplestore::TupleStore;
use crate::error::{Error, Result};

/// A connection to SPI, in which ephemeral relations can be registered. Ends on drop.
///
/// SPI leaves its own memory context current after each call; here the caller's is put back, so that
/// what the caller creates in the meantime outlives the connection.
#[derive(Debug)]
pub struct Connection {
    caller_context: pg_sys::MemoryContext,
}

/// A prepared statement that outlives the connection; freed on drop.
#[derive(Debug)]
pub struct Kept {
    plan: pg_sys::SPIPlanPtr,
    is_in_order: bool,
}

impl Connection {
    /// Connects.
    pub fn open() -> Result<Self> {
        // SAFETY: we are in a transaction; SPI_finish follows on drop or at abort.
        let caller_context = unsafe { pg_sys::CurrentMemoryContext };
        // SAFETY: as above.
        check("SPI_connect", unsafe { pg_sys::SPI_connect() })?;
        let connection = Connection { caller_context };
        connection.leave_context();
        Ok(connection)
    }

    /// Makes `store` readable as the relation `name`, with its true row count for the planner.
    /// The store must outlive the statements that read it.
    pub fn register(&self, name: &str, store: &TupleStore) -> Result<()> {
        let name = text(name)?;
        // SAFETY: the relation data is allocated in the caller's context, which outlives the
        // connection; the name is copied into it.
        unsafe {
            let enr = pg_sys::palloc0(size_of::<pg_sys::EphemeralNamedRelationData>())
                as *mut pg_sys::EphemeralNamedRelationData;
            (*enr).md.name = pg_sys::pstrdup(name.as_ptr());
            (*enr).md.reliddesc = pg_sys::InvalidOid;
            (*enr).md.tupdesc = store.tuple_desc();
            (*enr).md.enrtype = pg_sys::EphemeralNameRelationType::ENR_NAMED_TUPLESTORE;
            (*enr).md.enrtuples = store.count() as f64;
            (*enr).reldata = store.as_ptr().cast();
            let status = pg_sys::SPI_register_relation(enr);
            self.leave_context();
            check("SPI_register_relation", status)
        }
    }

    /// Forgets the relation `name`.
    pub fn unregister(&self, name: &str) -> Result<()> {
        let name = text(name)?;
        // SAFETY: a plain look-up by name.
        let status = unsafe { pg_sys::SPI_unregister_relation(name.as_ptr()) };
        self.leave_context();
        check("SPI_unregister_relation", status)
    }

    /// Prepares one statement without parameters and keeps it.
    pub fn prepare(&self, sql: &str) -> Result<Kept> {
        self.keep(sql, 0, false)
    }

    /// The same for a statement that reads whole tables: its plan may be a parallel one, as that of
    /// REFRESH MATERIALIZED VIEW may be.
    pub fn prepare_whole(&self, sql: &str) -> Result<Kept> {
        self.keep(sql, pg_sys::CURSOR_OPT_PARALLEL_OK as i32, false)
    }

    /// The same for a statement whose joins are planned in the order in which they are written: JOIN by JOIN, so that
    /// planning is linear in their number.
    pub fn prepare_in_order(&self, sql: &str) -> Result<Kept> {
        self.keep(sql, 0, true)
    }

    fn keep(&self, sql: &str, options: i32, is_in_order: bool) -> Result<Kept> {
        let sql = text(sql)?;
        // SAFETY: the text is copied; a plan that is kept belongs to `Kept`.
        unsafe {
            let plan = pg_sys::SPI_prepare_cursor(sql.as_ptr(), 0, ptr::null_mut(), options);
            if plan.is_null() {
                check("SPI_prepare_cursor", pg_sys::SPI_result)?;
            }
            let status = pg_sys::SPI_keepplan(plan);
            self.leave_context();
            check("SPI_keepplan", status)?;
            Ok(Kept { plan, is_in_order })
        }
    }

    /// Runs a kept SELECT and returns its rows in a store in `context`, TOAST values fetched.
    pub fn run(&self, statement: &Kept, context: pg_sys::MemoryContext) -> Result<TupleStore> {
        // SAFETY: the result row type is copied into the store's context; the receiver is destroyed after its use.
        unsafe {
            let previous = pg_sys::MemoryContextSwitchTo(context);
            let desc = pg_sys::CreateTupleDescCopy(statement.row_type());
            pg_sys::MemoryContextSwitchTo(previous);
            let store = TupleStore::new(context, desc);
            let receiver = CreateTuplestoreDestReceiver();
            SetTuplestoreDestReceiverParams(
                receiver,
                store.as_ptr(),
                context,
                true,
                ptr::null_mut(),
                ptr::null(),
            );
            let executed = self.execute(statement, receiver);
            if let Some(destroy) = (*receiver).rDestroy {
                destroy(receiver);
            }
            executed.map(|()| store)
        }
    }

    /// Runs a kept SELECT and shows each row to `each` as it comes.
    pub fn run_each(&self, statement: &Kept, each: EachRow<'_>) -> Result<()> {
        let mut receiver = Receiver::new(each);
        self.execute(statement, receiver.as_ptr())
    }

    fn execute(&self, statement: &Kept, receiver: *mut pg_sys::DestReceiver) -> Result<()> {
        // A kept plan is made, and made again, when it is run.
        let _in_order = statement.enter_order();
        // SAFETY: a kept plan; the receiver is valid during the call.
        let status = unsafe {
            let mut options: pg_sys::SPIExecuteOptions = std::mem::zeroed();
            options.read_only = true;
            options.dest = receiver;
            pg_sys::SPI_execute_plan_extended(statement.plan, &options)
        };
        self.leave_context();
        check("SPI_execute_plan_extended", status)
    }

    /// What the planner expects that running it costs, over the relations that are registered now. Planned once: the plan
    /// is kept for the run.
    pub fn cost(&self, statement: &Kept) -> f64 {
        let _in_order = statement.enter_order();
        // SAFETY: a kept plan of one statement without parameters; its generic plan is pinned while it is read.
        let cost = unsafe {
            let plan = pg_sys::SPI_plan_get_cached_plan(statement.plan);
            if plan.is_null() {
                return f64::INFINITY;
            }
            let planned = pg_sys::list_nth((*plan).stmt_list, 0) as *mut pg_sys::PlannedStmt;
            let cost = (*(*planned).planTree).total_cost;
            pg_sys::ReleaseCachedPlan(plan, pg_sys::CurrentResourceOwner);
            cost
        };
        self.leave_context();
        cost
    }

    fn leave_context(&self) {
        // SAFETY: the caller's context outlives the connection.
        unsafe { pg_sys::MemoryContextSwitchTo(self.caller_context) };
    }
}

impl Kept {
    /// Has errors show this text instead of the statement's, which names what users have not made.
    pub fn shown_as(self, shown: &str) -> Result<Self> {
        let shown = text(shown)?;
        // SAFETY: the plan has one source, which keeps the copy. It is planned again from its tree, not its text.
        unsafe {
            let sources = pg_sys::SPI_plan_get_plan_sources(self.plan);
            let source = pg_sys::list_nth(sources, 0) as *mut pg_sys::CachedPlanSource;
            (*source).query_string = pg_sys::MemoryContextStrdup((*source).context, shown.as_ptr());
        }
        Ok(self)
    }

    /// The settings that it is planned under.
    fn enter_order(&self) -> Option<LocalSettings> {
        self.is_in_order
            .then(|| LocalSettings::enter(&[(c"join_collapse_limit", c"1")]))
    }

    /// The row type of its result, valid as long as the statement.
    pub fn row_type(&self) -> pg_sys::TupleDesc {
        // SAFETY: the plan has one source, a SELECT, as `prepare` takes one statement that reads.
        unsafe {
            let sources = pg_sys::SPI_plan_get_plan_sources(self.plan);
            let source = pg_sys::list_nth(sources, 0) as *mut pg_sys::CachedPlanSource;
            (*source).resultDesc
        }
    }

    /// The columns of its result.
    pub fn columns(&self) -> Vec<Column> {
        attributes(self.row_type())
            .iter()
            .map(Column::from)
            .collect()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: connected by open, finished once.
            unsafe { pg_sys::SPI_finish() };
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: kept by prepare, freed once. Freeing needs no transaction.
        unsafe { pg_sys::SPI_freeplan(self.plan) };
    }
}

fn text(sql: &str) -> Result<CString> {
    CString::new(sql).map_err(|_| Error::Internal("a statement contains NUL".into()))
}

fn check(call: &str, status: i32) -> Result<()> {
    if status < 0 {
        return Err(Error::Internal(format!("{call} failed with {status}")));
    }
    Ok(())
}

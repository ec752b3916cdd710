//! The guard: only a refresh writes to a stream table and its state. Its native writes
//! do not fire the guard's trigger; while it writes by statements, the guard is [`open`].

use std::cell::RefCell;

use pgrx::prelude::*;

use crate::error::Error;
use crate::pg::{function, trigger};

use super::state_names::shown_name;

const FUNCTION: &str = "guard_stream_table";
const NAME: &str = "pgt_guard";

/// Guards a table against INSERT, UPDATE, DELETE and TRUNCATE.
pub fn attach(relid: pg_sys::Oid) -> Result<(), Error> {
    let function = function()?;
    for event in [trigger::Event::Change, trigger::Event::Truncate] {
        trigger::create_before_statement(relid, NAME, function, event)?;
    }
    Ok(())
}

/// Whether [`attach`] has been applied to the table.
pub fn is_attached(relid: pg_sys::Oid) -> Result<bool, Error> {
    trigger::calls(relid, function()?)
}

thread_local! {
    /// The tables that are open.
    static OPEN: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
}

/// While this lives, its tables can be written by statements.
pub struct Opened {
    /// How many others were open before.
    before: usize,
}

/// Opens guarded tables.
pub fn open(tables: &[pg_sys::Oid]) -> Opened {
    OPEN.with_borrow_mut(|open| {
        let before = open.len();
        open.extend(tables);
        Opened { before }
    })
}

impl Drop for Opened {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(|open| open.truncate(self.before));
    }
}

fn function() -> Result<pg_sys::Oid, Error> {
    function::without_arguments("pgtrickle", FUNCTION)?
        .ok_or_else(|| Error::Internal(format!("function pgtrickle.{FUNCTION}() does not exist")))
}

/// Trigger function: refuses every statement on a table that is not open.
#[pg_trigger(sql = r#"
CREATE FUNCTION pgtrickle.guard_stream_table() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION pgtrickle.guard_stream_table() IS 'refuses changes of stream tables by users';
"#)]
fn guard_stream_table<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, Error> {
    let table = trigger.relation().map(|relation| relation.oid());
    let Ok(table) = table else {
        return Err(Error::Vanished);
    };
    if OPEN.with_borrow(|open| open.contains(&table)) {
        return Ok(None);
    }
    Error::Guarded(shown_name(table)?).report()
}

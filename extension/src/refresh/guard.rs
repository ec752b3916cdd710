//! The guard: only a refresh writes to a stream table and its state. It writes
//! natively and therefore fires no statement trigger.

use pgrx::prelude::*;

use crate::error::Error;
use crate::pg::{function, trigger};

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

fn function() -> Result<pg_sys::Oid, Error> {
    function::without_arguments("pgtrickle", FUNCTION)?
        .ok_or_else(|| Error::Internal(format!("function pgtrickle.{FUNCTION}() does not exist")))
}

/// Trigger function: refuses every statement.
#[pg_trigger(sql = r#"
CREATE FUNCTION pgtrickle.guard_stream_table() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION pgtrickle.guard_stream_table() IS 'refuses changes of stream tables by users';
"#)]
fn guard_stream_table<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, Error> {
    let name = trigger
        .relation()
        .map_or_else(|_| String::new(), |r| r.name().to_owned());
    Error::Guarded(name).report()
}

//! Internal triggers: like those of a foreign key they are not dumped, and nobody but a superuser
//! can disable them.

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::name::c_string;
use crate::pg::relation::Relation;

/// What fires a BEFORE statement trigger.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// INSERT, UPDATE or DELETE.
    Change,
    /// TRUNCATE.
    Truncate,
}

const TRIGGER_TYPE_BEFORE: i16 = 1 << 1;
const TRIGGER_TYPE_INSERT: i16 = 1 << 2;
const TRIGGER_TYPE_DELETE: i16 = 1 << 3;
const TRIGGER_TYPE_UPDATE: i16 = 1 << 4;
const TRIGGER_TYPE_TRUNCATE: i16 = 1 << 5;
const FIRES_ALWAYS: std::ffi::c_char = b'A' as std::ffi::c_char;

/// Creates an internal BEFORE statement trigger that fires always, in any replication role.
pub fn create_before_statement(
    relid: pg_sys::Oid,
    name: &str,
    function: pg_sys::Oid,
    event: Event,
) -> Result<()> {
    let name = c_string(name)?;
    // SAFETY: a complete CreateTrigStmt; the server copies what it keeps.
    unsafe {
        let mut statement =
            pgrx::PgBox::<pg_sys::CreateTrigStmt>::alloc_node(pg_sys::NodeTag::T_CreateTrigStmt);
        statement.trigname = pg_sys::pstrdup(name.as_ptr());
        statement.row = false;
        statement.timing = TRIGGER_TYPE_BEFORE;
        statement.events = match event {
            Event::Change => TRIGGER_TYPE_INSERT | TRIGGER_TYPE_DELETE | TRIGGER_TYPE_UPDATE,
            Event::Truncate => TRIGGER_TYPE_TRUNCATE,
        };
        pg_sys::CreateTriggerFiringOn(
            statement.into_pg(),
            std::ptr::null(),
            relid,
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            function,
            pg_sys::InvalidOid,
            std::ptr::null_mut(),
            true,
            false,
            FIRES_ALWAYS,
        );
        pg_sys::CommandCounterIncrement();
    }
    Ok(())
}

/// Whether some trigger of the relation calls the function.
pub fn calls(relid: pg_sys::Oid, function: pg_sys::Oid) -> Result<bool> {
    let relation = Relation::open(relid, pg_sys::AccessShareLock as pg_sys::LOCKMODE)?;
    // SAFETY: the trigger descriptor belongs to the open relation.
    unsafe {
        let triggers = (*relation.as_ptr()).trigdesc;
        if triggers.is_null() {
            return Ok(false);
        }
        let count = usize::try_from((*triggers).numtriggers).unwrap_or(0);
        let all = std::slice::from_raw_parts((*triggers).triggers, count);
        Ok(all.iter().any(|trigger| trigger.tgfoid == function))
    }
}

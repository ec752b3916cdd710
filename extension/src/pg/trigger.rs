//! Internal triggers: like those of a foreign key they are not dumped, and only a superuser
//! can disable them.

use super::lock_mode::LockMode;
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

/// What `pg_trigger.tgenabled` says of a trigger that fires in any replication role.
pub(super) const FIRES_ALWAYS: std::ffi::c_char = b'A' as std::ffi::c_char;
/// What it says of one that fires for what applies the changes of another server.
pub(super) const FIRES_ON_REPLICA: std::ffi::c_char = b'R' as std::ffi::c_char;

/// Creates an internal BEFORE statement trigger that fires always, in any replication role.
pub fn create_before_statement(
    relid: pg_sys::Oid,
    name: &str,
    function: pg_sys::Oid,
    event: Event,
) -> Result<()> {
    let events = match event {
        Event::Change => {
            pg_sys::TRIGGER_TYPE_INSERT | pg_sys::TRIGGER_TYPE_DELETE | pg_sys::TRIGGER_TYPE_UPDATE
        }
        Event::Truncate => pg_sys::TRIGGER_TYPE_TRUNCATE,
    };
    let tgtype = events | pg_sys::TRIGGER_TYPE_BEFORE;
    create(relid, name, function, tgtype, FIRES_ALWAYS, &[])
}

/// Creates an internal trigger that fires as `firing` says. `tgtype` has the bits of the events, of BEFORE and of
/// ROW; the transition tables are names, and whether they hold the new rows.
pub fn create(
    relid: pg_sys::Oid,
    name: &str,
    function: pg_sys::Oid,
    tgtype: u32,
    firing: std::ffi::c_char,
    transition_tables: &[(&str, bool)],
) -> Result<()> {
    let name = c_string(name)?;
    let aliases = transition_tables
        .iter()
        .map(|(alias, is_new)| Ok((c_string(alias)?, *is_new)))
        .collect::<Result<Vec<_>>>()?;
    let timing = tgtype & pg_sys::TRIGGER_TYPE_BEFORE;
    let level = tgtype & pg_sys::TRIGGER_TYPE_ROW;
    // SAFETY: a complete CreateTrigStmt in the current memory context; the server copies what it keeps.
    unsafe {
        let mut transitions = std::ptr::null_mut();
        for (alias, is_new) in aliases {
            let mut transition = pgrx::PgBox::<pg_sys::TriggerTransition>::alloc_node(
                pg_sys::NodeTag::T_TriggerTransition,
            );
            transition.name = pg_sys::pstrdup(alias.as_ptr());
            transition.isNew = is_new;
            transition.isTable = true;
            transitions = pg_sys::lappend(transitions, transition.into_pg().cast());
        }
        let mut statement =
            pgrx::PgBox::<pg_sys::CreateTrigStmt>::alloc_node(pg_sys::NodeTag::T_CreateTrigStmt);
        statement.trigname = pg_sys::pstrdup(name.as_ptr());
        statement.row = level != 0;
        statement.timing = timing as i16;
        statement.events = (tgtype & !timing & !level) as i16;
        statement.transitionRels = transitions;
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
            firing,
        );
        pg_sys::CommandCounterIncrement();
    }
    Ok(())
}

/// Whether some trigger of the relation calls the function.
pub fn calls(relid: pg_sys::Oid, function: pg_sys::Oid) -> Result<bool> {
    let relation = Relation::open(relid, LockMode::AccessShare)?;
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

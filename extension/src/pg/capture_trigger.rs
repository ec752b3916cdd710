//! The triggers that read changes, in three families: those that capture, those that capture row by row, and those
//! that update IMMEDIATE stream tables. Each kind of statement has an internal AFTER statement trigger. Replication
//! (a subscription, say) runs no statements: it acts in the role `replica` and fires
//! row triggers, so each kind also has one of these, which fires only in that role.
//! Where statements do not show which table a row belongs to (on a table that is read apart from its parent, and wherever
//! the query reads the table of a row), row triggers capture all rows, in any role; only TRUNCATE is captured by statement.
//!
//! Internal triggers are not dumped and not listed by `\d`, a table's owner cannot disable them, and
//! they need no privilege on the table.

use std::ffi::{CStr, c_char};

use super::catalog_scan;
use super::depend::drop_object;
use super::lock_mode::LockMode;
use super::relation::{Relation, may_have};
use super::rows_of;
use super::trigger;
use super::user::OwnerContext;
use crate::error::Result;
use pgrx::pg_sys;

/// Triggers that belong together, by the beginning of their names. A table's triggers fire in the
/// order of their names: what is captured is in its buffer before anything follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family {
    prefix: &'static str,
    /// Whether there is also a BEFORE statement trigger, which calls the same function.
    is_around: bool,
    /// Whether rows are captured in any role, and statements are not.
    is_of_rows: bool,
}

/// The index of `pg_trigger` over tables and names, and the column of the table.
const TRIGGERS_BY_TABLE: pg_sys::Oid = pg_sys::Oid::from_u32(2701);
const TRIGGER_TABLE: u32 = 2;

/// What the names of all our triggers begin with.
const PREFIX: &str = "pgt_";

/// The triggers that fill change buffers.
pub const CAPTURE: Family = Family {
    prefix: "pgt_cdc_",
    is_around: false,
    is_of_rows: false,
};

/// The triggers that fill the buffers of tables that are read apart from those above them.
pub const EACH: Family = Family {
    prefix: "pgt_each_",
    is_around: false,
    is_of_rows: true,
};

/// The triggers before and after statements on what IMMEDIATE stream tables read.
pub const IMMEDIATE: Family = Family {
    prefix: "pgt_immediate_",
    is_around: true,
    is_of_rows: false,
};

impl Family {
    /// The first in their order.
    pub const FIRST: Family = CAPTURE;

    /// Whether a trigger with this name is one of them.
    pub fn has(self, name: &CStr) -> bool {
        name.to_bytes().starts_with(self.prefix.as_bytes())
    }

    /// How its triggers fire, by the bits of `pg_trigger.tgtype`.
    fn firing(self, tgtype: u32) -> c_char {
        match tgtype & ROW {
            0 => trigger::FIRES_ALWAYS,
            _ if self.is_of_rows => trigger::FIRES_ALWAYS,
            _ => trigger::FIRES_ON_REPLICA,
        }
    }

    /// Whether it has a trigger for this event.
    fn wants(self, event: u32) -> bool {
        !self.is_of_rows || event & (ROW | pg_sys::TRIGGER_TYPE_TRUNCATE) != 0
    }
}

/// Name, bits of `pg_trigger.tgtype`, old and new transition tables.
const TRIGGERS: [(&str, u32, bool, bool); 7] = [
    ("insert", pg_sys::TRIGGER_TYPE_INSERT, false, true),
    ("update", pg_sys::TRIGGER_TYPE_UPDATE, true, true),
    ("delete", pg_sys::TRIGGER_TYPE_DELETE, true, false),
    ("truncate", pg_sys::TRIGGER_TYPE_TRUNCATE, false, false),
    (
        "row_insert",
        ROW | pg_sys::TRIGGER_TYPE_INSERT,
        false,
        false,
    ),
    (
        "row_update",
        ROW | pg_sys::TRIGGER_TYPE_UPDATE,
        false,
        false,
    ),
    (
        "row_delete",
        ROW | pg_sys::TRIGGER_TYPE_DELETE,
        false,
        false,
    ),
];

const ROW: u32 = pg_sys::TRIGGER_TYPE_ROW;

/// The name of the transition table of new rows.
pub const NEW_ROWS: &str = "pgt_new";
/// The name of the transition table of old rows.
pub const OLD_ROWS: &str = "pgt_old";

/// A trigger of a family that is there.
#[derive(Debug, Clone, Copy)]
struct Existing {
    oid: pg_sys::Oid,
    function: pg_sys::Oid,
    tgtype: u32,
    is_off: bool,
}

fn existing(family: Family, table: &Relation) -> Vec<Existing> {
    // SAFETY: the table is open; its trigger descriptor has numtriggers entries with valid names.
    unsafe {
        let desc = (*table.as_ptr()).trigdesc;
        if desc.is_null() {
            return Vec::new();
        }
        std::slice::from_raw_parts((*desc).triggers, (*desc).numtriggers as usize)
            .iter()
            .filter(|trigger| trigger.tgisinternal && family.has(CStr::from_ptr(trigger.tgname)))
            .map(|trigger| Existing {
                oid: trigger.tgoid,
                function: trigger.tgfoid,
                tgtype: trigger.tgtype as u32,
                is_off: trigger.tgenabled as u8 == b'D',
            })
            .collect()
    }
}

/// Sees to it that the statements on `table` fire `function`, that rows of another server fire `of_rows`, and that
/// nothing else of the family is there. Whether there was none before. The caller holds SHARE ROW EXCLUSIVE on the
/// table, or more.
pub fn ensure(
    family: Family,
    table: pg_sys::Oid,
    function: pg_sys::Oid,
    of_rows: pg_sys::Oid,
) -> Result<bool> {
    let relation = Relation::open(table, LockMode::None)?;
    let present = existing(family, &relation);
    // Rows are in the partitions; a row trigger on a partitioned table would be one on each of them.
    let holds_rows = relation.kind() != pg_sys::RELKIND_PARTITIONED_TABLE;
    drop(relation);
    let wanted = |tgtype: u32| if tgtype & ROW == 0 { function } else { of_rows };
    for trigger in present
        .iter()
        .filter(|trigger| trigger.function != wanted(trigger.tgtype))
    {
        drop_object(pg_sys::TriggerRelationId, trigger.oid);
    }
    let is_there = |event: u32, timing: u32| {
        let (kind, event) = (timing | event & ROW, event & !ROW);
        present.iter().any(|trigger| {
            trigger.function == wanted(trigger.tgtype)
                && trigger.tgtype & event != 0
                && trigger.tgtype & (pg_sys::TRIGGER_TYPE_BEFORE | ROW) == kind
        })
    };
    for (name, event, old, new) in TRIGGERS {
        let is_wanted = family.wants(event) && (event & ROW == 0 || holds_rows);
        if is_wanted && !is_there(event, 0) {
            let transition_tables: Vec<_> = [(old, OLD_ROWS, false), (new, NEW_ROWS, true)]
                .into_iter()
                .filter_map(|(is_wanted, alias, is_new)| is_wanted.then_some((alias, is_new)))
                .collect();
            let name = format!("{}{name}", family.prefix);
            let firing = family.firing(event);
            trigger::create(
                table,
                &name,
                wanted(event),
                event,
                firing,
                &transition_tables,
            )?;
        }
    }
    for (event, bit) in [
        (trigger::Event::Change, pg_sys::TRIGGER_TYPE_UPDATE),
        (trigger::Event::Truncate, pg_sys::TRIGGER_TYPE_TRUNCATE),
    ] {
        if family.is_around && !is_there(bit, pg_sys::TRIGGER_TYPE_BEFORE) {
            let name = format!("{}before_{event:?}", family.prefix).to_lowercase();
            trigger::create_before_statement(table, &name, function, event)?;
        }
    }
    Ok(present.is_empty())
}

/// Whether the open table has triggers of either family.
///
/// # Safety
/// An open table.
pub unsafe fn is_watched(table: pg_sys::Relation) -> bool {
    // SAFETY: per contract; as in `existing`.
    unsafe {
        (*table).trigdesc.as_ref().is_some_and(|desc| {
            std::slice::from_raw_parts(desc.triggers, desc.numtriggers as usize)
                .iter()
                .any(|trigger| {
                    let name = CStr::from_ptr(trigger.tgname);
                    trigger.tgisinternal && (CAPTURE.has(name) || IMMEDIATE.has(name))
                })
        })
    }
}

/// What calls a family's statement triggers on a table.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    /// The function.
    pub function: pg_sys::Oid,
    /// Whether one of the family's triggers has been switched off.
    pub is_off: bool,
}

/// Whom the family's triggers on the open table call; `None` without any.
pub fn calls(family: Family, table: &Relation) -> Option<Calls> {
    let all = existing(family, table);
    let of_statements = all.iter().find(|trigger| trigger.tgtype & ROW == 0)?;
    Some(Calls {
        function: of_statements.function,
        is_off: all.iter().any(|trigger| trigger.is_off),
    })
}

/// Removes the family's triggers from `table`. Without any, readers and writers are not blocked.
pub fn remove_all(family: Family, table: pg_sys::Oid) -> Result<()> {
    let found = |lockmode| {
        Relation::try_open(table, lockmode)
            .map_or_else(Vec::new, |relation| existing(family, &relation))
    };
    if found(LockMode::AccessShare).is_empty() {
        return Ok(());
    }
    for trigger in found(LockMode::AccessExclusive) {
        drop_object(pg_sys::TriggerRelationId, trigger.oid);
    }
    Ok(())
}

/// Whether the open table has row triggers of the family, which a former version did not make.
pub fn has_row_triggers(family: Family, table: &Relation) -> bool {
    existing(family, table)
        .iter()
        .any(|trigger| trigger.tgtype & ROW != 0)
}

/// Whether our triggers are on the table, switched off or not. It is not opened.
pub fn are_on(table: pg_sys::Oid) -> bool {
    if !may_have(table).triggers {
        return false;
    }
    let mut found = false;
    let keys = [catalog_scan::oid_key(TRIGGER_TABLE, table)];
    catalog_scan::each(pg_sys::TriggerRelationId, TRIGGERS_BY_TABLE, &keys, |row| {
        // SAFETY: a row of pg_trigger, whose name is NUL-terminated.
        unsafe {
            let row = &*row.cast::<pg_sys::FormData_pg_trigger>();
            let name = CStr::from_ptr(row.tgname.data.as_ptr());
            found = row.tgisinternal && name.to_bytes().starts_with(PREFIX.as_bytes());
        }
        !found
    });
    found
}

/// Makes our triggers that were disabled and enabled again fire as before. Whether there were any: what
/// happened to the table meanwhile is not known.
pub fn rearm(table: pg_sys::Oid) -> Result<bool> {
    let Some(relation) = Relation::try_open(table, LockMode::AccessShare) else {
        return Ok(false);
    };
    // SAFETY: as in `existing`; a row of pg_trigger changes under the lock that ALTER TABLE holds.
    unsafe {
        let desc = (*relation.as_ptr()).trigdesc;
        if desc.is_null() {
            return Ok(false);
        }
        let names: Vec<_> =
            std::slice::from_raw_parts((*desc).triggers, (*desc).numtriggers as usize)
                .iter()
                .filter(|trigger| trigger.tgisinternal && trigger.tgenabled as u8 != b'D')
                .filter_map(|trigger| {
                    let name = CStr::from_ptr(trigger.tgname);
                    // Guards of stream tables fire like the triggers that capture.
                    let family = if EACH.has(name) { EACH } else { CAPTURE };
                    let firing = family.firing(trigger.tgtype as u32);
                    let is_ours = name.to_bytes().starts_with(PREFIX.as_bytes());
                    (is_ours && trigger.tgenabled != firing).then(|| (name.to_owned(), firing))
                })
                .collect();
        let _owner = OwnerContext::extension_owner()?;
        for (name, firing) in &names {
            pg_sys::EnableDisableTrigger(
                relation.as_ptr(),
                name.as_ptr(),
                pg_sys::InvalidOid,
                *firing,
                false,
                false,
                LockMode::AccessShare.raw(),
            );
            pg_sys::CommandCounterIncrement();
        }
        Ok(!names.is_empty())
    }
}

/// The tables with triggers of the extension that call `function`.
pub fn tables_of(function: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    // By its dependency, since no index of pg_trigger knows the function.
    rows_of::column(
        "SELECT DISTINCT t.tgrelid FROM pg_catalog.pg_depend d \
         JOIN pg_catalog.pg_trigger t ON t.oid OPERATOR(pg_catalog.=) d.objid \
         WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_trigger'::pg_catalog.regclass \
           AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass \
           AND d.refobjid OPERATOR(pg_catalog.=) $1 AND t.tgisinternal",
        &[function.into()],
    )
}

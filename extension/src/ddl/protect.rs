//! What no role may do to a stream table and its parts and sources, not even their owner:
//! PostgreSQL only checks ownership. Event triggers ask here.
//!
//! - Our triggers stay as long as their table: a source without capture, or a stream table that users can write,
//!   would go unnoticed.
//! - So do the indexes by which refreshes find rows, and the names of the extension's schemas.
//! - Stream tables and their parts have neither parents nor children: a statement on a parent or child fires
//!   only that table's triggers.
//! - No foreign key deletes or changes their rows.
//! - They are not rewritten: `ALTER COLUMN … TYPE … USING` is an UPDATE that fires no trigger.

use std::ffi::CStr;

use pgrx::prelude::*;

use super::commands::Dropped;
use super::internal_view::STATE_SCHEMA;
use super::told;
use crate::catalog::{self, StreamTable};
use crate::error::{Error, Result};
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::{Relation, may_have};
use crate::pg::user::OwnerContext;
use crate::pg::{alter_table_hook, depend, index_hook, inherit, name, rows_of};
use crate::refresh::{id_of_part, shown_name};

/// Makes DDL without event triggers ask here.
pub fn init() {
    alter_table_hook::install(keep_type, told::without_parts);
    index_hook::install(keep_index);
}

/// One of the extension's triggers, by its table and its name.
pub type Trigger = (pg_sys::Oid, String);

/// Triggers that ALTER TRIGGER has renamed, or made depend on an extension.
pub const ALTERED_TRIGGERS: &str = "
SELECT t.tgrelid, t.tgname::pg_catalog.text
FROM pg_catalog.pg_event_trigger_ddl_commands() c
JOIN pg_catalog.pg_trigger t ON t.oid = c.objid
JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
WHERE c.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.tgisinternal
  AND p.pronamespace IN ('pgtrickle'::pg_catalog.regnamespace, 'pgtrickle_changes'::pg_catalog.regnamespace)";

/// Triggers that CREATE TRIGGER has put on parts of stream tables, or on change buffers: they would not fire.
pub const TRIGGERS_OF_PARTS: &str = "
SELECT t.tgrelid, t.tgname::pg_catalog.text
FROM pg_catalog.pg_event_trigger_ddl_commands() c
JOIN pg_catalog.pg_trigger t ON t.oid = c.objid
JOIN pg_catalog.pg_class r ON r.oid = t.tgrelid
WHERE c.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND NOT t.tgisinternal
  AND r.relnamespace IN ('pgtrickle_state'::pg_catalog.regnamespace, 'pgtrickle_changes'::pg_catalog.regnamespace)";

/// Refuses these triggers.
pub fn keep_parts_bare(created: Vec<Trigger>) -> Result<()> {
    match created.into_iter().next() {
        None => Ok(()),
        Some((table, _)) => Err(Error::Guarded(shown_name(table)?)),
    }
}

/// Whether an index of this schema and name is one by which refreshes find rows. REINDEX CONCURRENTLY drops others.
fn is_index_of_ours(schema: &str, index: &str) -> bool {
    let is_key = |stem| index.strip_prefix(stem).is_some_and(is_number);
    is_key("pgt_key_")
        || is_key("pgt_partition_")
        || schema == STATE_SCHEMA && is_index_of_part(index)
}

fn is_index_of_part(index: &str) -> bool {
    let rest = index
        .strip_prefix("st_")
        .and_then(|rest| rest.split_once('_'));
    let is_transient = ["_ccold", "_ccnew"].iter().any(|stem| {
        let end = index.rsplit_once(stem);
        end.is_some_and(|(_, end)| end.is_empty() || is_number(end))
    });
    rest.is_some_and(|(id, _)| is_number(id)) && !is_transient
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Refuses what a statement is about to do to an index of ours: once it has another name, nothing tells whose it is.
fn keep_index(table: pg_sys::Oid, index: pg_sys::Oid, action: &'static str) -> Result<()> {
    let Some(name) = name::relation_name(index).filter(|_| catalog::exists()) else {
        return Ok(());
    };
    let is_part = is_part(table);
    let whole = match id_of_part(table).filter(|_| is_part && is_index_of_part(&name)) {
        Some(pgt_id) => catalog::load(pgt_id)?,
        None => catalog::load_by_relid(table)?.filter(|whole| is_key_of(whole.pgt_id, &name)),
    };
    match whole {
        None => Ok(()),
        Some(whole) => Err(index_needed(action, is_part, &name, &whole)),
    }
}

/// Whether this is the name of an index by which rows of the stream table are found.
fn is_key_of(pgt_id: i64, index: &str) -> bool {
    let stems = ["pgt_key_", "pgt_partition_"];
    let id = stems.iter().find_map(|stem| index.strip_prefix(stem));
    id.is_some_and(|id| id == pgt_id.to_string())
}

fn index_needed(action: &'static str, is_part: bool, index: &str, table: &StreamTable) -> Error {
    Error::IndexNeeded {
        action,
        index: match is_part {
            true => "an index".to_owned(),
            false => format!("index \"{index}\""),
        },
        table: table.plain_name(),
    }
}

/// Refuses the removal of indexes, by DROP INDEX or with an operator class, if their stream tables are there.
pub fn keep_indexes(dropped: &[Dropped]) -> Result<()> {
    for index in dropped.iter().filter(|d| d.kind == "index") {
        let [schema, index] = index.names.as_slice() else {
            continue;
        };
        if !is_index_of_ours(schema, index) {
            continue;
        }
        let mut words = index.split('_').map(str::parse::<i64>);
        let Some(table) = words.find_map(std::result::Result::ok) else {
            continue;
        };
        let Some(table) = catalog::load(table)? else {
            continue;
        };
        let is_part = schema == STATE_SCHEMA;
        if is_part && depend::owner_of(table.relid).is_some()
            || name::namespace_of(table.relid) == name::find_namespace(&name::c_string(schema)?)
        {
            return Err(index_needed("drop", is_part, index, &table));
        }
    }
    Ok(())
}

/// Whether a trigger of this name is one that a stream table rests on: the names that the server gives to internal
/// triggers end in a number.
fn is_trigger_of_ours(trigger: &str) -> bool {
    let stem = ["pgt_guard", "pgt_cdc_", "pgt_immediate_"];
    let stem = stem.iter().find_map(|stem| trigger.strip_prefix(stem));
    let end = stem.and_then(|rest| rest.rsplit_once('_'));
    end.is_some_and(|(kind, number)| {
        let is_kind = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        kind.bytes().all(is_kind) && is_number(number)
    })
}

/// Refuses the removal of triggers by DROP TRIGGER from tables that are there.
pub fn keep_triggers(dropped: &[Dropped]) -> Result<()> {
    for trigger in dropped.iter().filter(|d| !d.is_relation() && d.is_named) {
        if let [schema, table, trigger] = trigger.names.as_slice()
            && is_trigger_of_ours(trigger)
            && let Some(schema) = name::find_namespace(&name::c_string(schema)?)
            && name::relation_in(schema, table)?.is_some()
        {
            return Err(Error::TriggerNeeded {
                trigger: trigger.clone(),
                table: table.clone(),
            });
        }
    }
    Ok(())
}

/// Refuses the change of these triggers.
pub fn keep_altered(changed: Vec<Trigger>) -> Result<()> {
    match changed.into_iter().next() {
        None => Ok(()),
        Some((table, trigger)) => Err(Error::TriggerNeeded {
            trigger,
            table: name::relation_name(table).unwrap_or_default(),
        }),
    }
}

/// The extension's schemas.
const SCHEMAS: [&CStr; 3] = [c"pgtrickle", c"pgtrickle_changes", c"pgtrickle_state"];

/// Refuses one of our schemas for a stream table.
pub fn keep_out_of(schema: pg_sys::Oid, table: &str) -> Result<()> {
    for own in SCHEMAS {
        if name::find_namespace(own) == Some(schema) {
            return Err(Error::SchemaTaken {
                table: table.to_owned(),
                schema: own.to_string_lossy().into_owned(),
            });
        }
    }
    Ok(())
}

/// Refuses a stream table whose columns would get values, or other columns, by anything but its query: from a sequence,
/// or with a type.
pub fn keep_columns(table: &StreamTable) -> Result<()> {
    let relation = Relation::open(table.relid, LockMode::AccessShare)?;
    match relation.is_typed() || relation.has_identity() {
        true => Err(Error::ColumnsFixed(table.plain_name())),
        false => Ok(()),
    }
}

/// Refuses another name for one of our schemas, of which one is missing then.
pub fn keep_schemas() -> Result<()> {
    for schema in SCHEMAS {
        if name::find_namespace(schema).is_none() {
            let schema = schema.to_string_lossy().into_owned();
            return Err(Error::SchemaNeeded(schema));
        }
    }
    Ok(())
}

/// A relation, those above it, and those below it, of which none is locked.
pub fn family(relid: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    let mut family = inherit::ancestors(relid);
    if may_have(relid).children {
        family.extend(inherit::tree(relid, LockMode::None));
    } else {
        family.push(relid);
    }
    family
}

/// Refuses an altered relation that is a relative of a stream table, or of a part of one.
pub fn keep_alone(relid: pg_sys::Oid) -> Result<()> {
    let family = family(relid);
    if family.len() < 2 {
        return Ok(());
    }
    for member in family {
        if is_ours(member)? {
            return Err(Error::NotAlone(shown_name(member)?));
        }
    }
    Ok(())
}

/// A foreign key of this table that acts where the other table's rows are deleted or get another key.
const ACTING_FOREIGN_KEY: &str = "
SELECT c.conname::pg_catalog.text FROM pg_catalog.pg_constraint c
WHERE c.conrelid = $1 AND c.contype = 'f' AND (c.confdeltype NOT IN ('a', 'r') OR c.confupdtype NOT IN ('a', 'r'))
ORDER BY 1 LIMIT 1";

/// Refuses a stream table with a foreign key that would change its rows.
pub fn keep_from_actions(table: &StreamTable) -> Result<()> {
    let found = rows_of::column(ACTING_FOREIGN_KEY, &[table.relid.into()])?;
    match found.into_iter().next() {
        None => Ok(()),
        Some(constraint) => Err(Error::ForeignKeyActs {
            constraint,
            table: table.plain_name(),
        }),
    }
}

/// Refuses a part of a stream table that has been altered by hand, unless it was only moved to another tablespace. While a
/// dump is restored there is no stream table yet.
pub fn keep_part(relid: pg_sys::Oid) -> Result<()> {
    let Some(pgt_id) = id_of_part(relid).filter(|_| !alter_table_hook::only_moves()) else {
        return Ok(());
    };
    match catalog::load(pgt_id)? {
        Some(table) if table.require_home().is_ok() && depend::is_part_of(relid, table.relid) => {
            Err(Error::Guarded(table.plain_name()))
        }
        _ => Ok(()),
    }
}

/// The stream tables whose queries use a column.
const USERS_OF_COLUMN: &str = "
SELECT DISTINCT s.pgt_relid::pg_catalog.oid, c.relname::pg_catalog.text
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_depend d ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
JOIN pgtrickle.pgt_stream_tables s ON s.view_relid = r.ev_class
JOIN pg_catalog.pg_class c ON c.oid = s.pgt_relid
WHERE a.attrelid = ANY ($1) AND a.attname = $2
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
ORDER BY 2";

/// Refuses another type for a column that stream tables use, as the server would, but by their names. Children get it,
/// too.
pub fn keep_type(table: pg_sys::Oid, column: &str) -> Result<()> {
    if !catalog::exists() {
        return Ok(());
    }
    let tables = inherit::tree(table, LockMode::None);
    let _owner = OwnerContext::extension_owner()?;
    let arguments = [tables.into(), column.into()];
    let users = rows_of::rows(USERS_OF_COLUMN, &arguments, |row| row.get(2))?;
    if users.is_empty() {
        return Ok(());
    }
    Err(Error::TypeNeeded {
        column: column.to_owned(),
        users,
    })
}

/// Bits of `pg_event_trigger_table_rewrite_reason()`: a default value, the type of a column.
const OTHER_COLUMNS: i32 = 2 | 4;

/// Refuses the rewrite of a stream table, or of a part of one.
pub fn keep_content(relid: pg_sys::Oid, reason: i32) -> Result<()> {
    if !is_ours(relid)? {
        return Ok(());
    }
    let name = shown_name(relid)?;
    Err(if reason & OTHER_COLUMNS == 0 {
        Error::Guarded(name)
    } else {
        Error::ColumnsFixed(name)
    })
}

fn is_ours(relid: pg_sys::Oid) -> Result<bool> {
    Ok(is_part(relid) || catalog::is_stream_table(relid)?)
}

/// Whether a relation is where parts of stream tables are.
pub fn is_part(relid: pg_sys::Oid) -> bool {
    name::is_in(relid, STATE_SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_that_stream_tables_rest_on_are_known_by_their_names() {
        for ours in [
            "pgt_guard_16400",
            "pgt_cdc_insert_7",
            "pgt_immediate_before_update_16411",
        ] {
            assert!(is_trigger_of_ours(ours), "{ours}");
        }
        for other in [
            "pgt_guard",
            "pgt_guard_x",
            "pgt_cdc_Insert_7",
            "my_pgt_guard_7",
            "audit_7",
        ] {
            assert!(!is_trigger_of_ours(other), "{other}");
        }
    }

    #[test]
    fn indexes_by_which_refreshes_find_rows_are_known_by_their_names() {
        for (schema, ours) in [
            ("public", "pgt_key_3"),
            ("a", "pgt_partition_12"),
            (STATE_SCHEMA, "st_3_n0_k0_idx"),
        ] {
            assert!(is_index_of_ours(schema, ours), "{ours}");
        }
        for (schema, other) in [
            ("public", "st_3_n0_k0_idx"),
            ("public", "pgt_key_3_idx"),
            (STATE_SCHEMA, "st_3_n0_k0_idx_ccnew"),
            (STATE_SCHEMA, "st_3_n0_k0_idx_ccold12"),
            (STATE_SCHEMA, "st_x_idx"),
        ] {
            assert!(!is_index_of_ours(schema, other), "{other}");
        }
    }
}

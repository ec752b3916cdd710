//! Installing capture on a source, and removing it.
//!
//! Order matters: the lock that keeps writers out comes first and is held until the transaction ends,
//! so every change is either in the consumer's first snapshot or captured. The same lock
//! keeps clean-up exact: no change can be captured, and removed as consumed by all others, between a
//! new consumer's first snapshot and the moment its frontier becomes visible.

use super::belonging::{self, is_captured};
use super::buffer::{self, SCHEMA};
use super::marker::Marker;
use super::seen;
use super::source::{members, obstacle};
use super::target;
use super::writer;
use crate::config::{TriggerMode, cdc_trigger_mode};
use crate::error::{CaptureError, Error, Result};
use crate::pg::capture_trigger::{CAPTURE, EACH};
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::tupdesc::{attribute_name, attributes};
use crate::pg::user::OwnerContext;
use crate::pg::{
    capture_trigger, depend, function, inherit, lock, name, removal, type_name, types,
};
use pgrx::Spi;
use pgrx::pg_sys;
use pgtrickle_dvm::capture_sql::{CapturedColumn, build_stmt_trigger_fn_sql};

/// Pages per BRIN range: some 4,000 change rows.
const PAGES_PER_RANGE: u32 = 32;

/// Captures the columns `attnums` of a table and of all below it, in addition to those captured
/// already.
pub fn install(source: pg_sys::Oid, attnums: &[i16]) -> Result<()> {
    let tables = keep_writers_out(source);
    if let Some(obstacle) = obstacle(source)? {
        return Err(obstacle.into());
    }
    let _owner = OwnerContext::extension_owner()?;
    ensure_buffer(source, attnums)?;
    ensure_triggers(source, &tables)
}

/// Makes a buffer, without triggers, for a stream table: its refreshes write to it.
pub fn install_buffer_only(stream_table: pg_sys::Oid, attnums: &[i16]) -> Result<()> {
    keep_writers_out(stream_table);
    let _owner = OwnerContext::extension_owner()?;
    ensure_buffer(stream_table, attnums)
}

/// Follows a change of a captured table's definition: partitions that came, columns that were
/// renamed or given another type. Does nothing for a table that is not captured.
pub fn ensure_partition_triggers(source: pg_sys::Oid) -> Result<()> {
    if buffer::find(source)?.is_none() {
        return Ok(());
    }
    let tables = keep_writers_out(source);
    if let Some(obstacle) = obstacle(source)? {
        return Err(obstacle.into());
    }
    let _owner = OwnerContext::extension_owner()?;
    ensure_buffer(source, &[])?;
    ensure_triggers(source, &tables)
}

/// Follows ALTER TABLE on a captured table or one below it, which still holds its lock: a column's
/// new type, its new name in a generated writer, a detached partition. New partitions wait for the next refresh, which
/// finds them by [`super::partitions_signature`]: attaching one must not wait for writers.
pub fn follow_alter(table: pg_sys::Oid) -> Result<()> {
    let sources = belonging::sources_of(table)?;
    if sources.is_empty() {
        return Ok(());
    }
    let _owner = OwnerContext::extension_owner()?;
    sources.into_iter().try_for_each(follow_altered)
}

fn follow_altered(source: pg_sys::Oid) -> Result<()> {
    ensure_buffer(source, &[])?;
    // No lock: commands on other parts of the source do not wait for this one.
    remove_strays(source, &members(source, LockMode::None))?;
    if let Some(writer) = function::without_arguments(SCHEMA, &sql_writer(source))?
        && !sql_writer_text(source)?.contains(&function::source_text(writer)?)
    {
        let writer = ensure_sql_writer(source)?;
        // It leaves rows of other servers to row triggers, which a former version did not make.
        for table in members(source, LockMode::AccessShare) {
            capture_trigger::ensure(CAPTURE, table, writer, native_writer()?)?;
        }
    }
    Ok(())
}

/// Follows what changes a captured table without a statement on it that triggers see: a rewrite by ALTER TABLE, for
/// instance, where a generation expression may have changed.
pub fn follow_rewrite(table: pg_sys::Oid, why: Marker) -> Result<()> {
    for target in target::all(table)? {
        writer::push_recompute(&target, why)?;
    }
    Ok(())
}

/// Removes triggers and buffer of a source, which may be gone itself.
pub fn uninstall(source: pg_sys::Oid) -> Result<()> {
    let mut tables = Vec::new();
    if Relation::try_open(source, LockMode::AccessExclusive).is_some() {
        tables = inherit::tree(source, LockMode::AccessExclusive);
    }
    if let Some(found) = buffer::find(source)? {
        depend::drop_relation(found, false);
    }
    // What is read apart, or from further above, keeps its own.
    tables.into_iter().try_for_each(belonging::prune)?;
    remove_strays(source, &[])?;
    if let Some(writer) = function::without_arguments(SCHEMA, &sql_writer(source))? {
        depend::drop_object(pg_sys::ProcedureRelationId, writer);
    }
    Ok(())
}

/// Removes triggers from tables that have left their source: detached partitions, children that no
/// longer inherit. `tables` are those that belong to it.
fn remove_strays(source: pg_sys::Oid, tables: &[pg_sys::Oid]) -> Result<()> {
    if let Some(writer) = function::without_arguments(SCHEMA, &sql_writer(source))? {
        for table in capture_trigger::tables_of(writer)? {
            if !tables.contains(&table) {
                capture_trigger::remove_all(CAPTURE, table)?;
            }
        }
    }
    if let Some(native) = function::without_arguments("pgtrickle", "capture_native")? {
        for table in capture_trigger::tables_of(native)? {
            if tables.contains(&table) {
                continue;
            }
            let root = inherit::root(table);
            if root == source || !is_captured(root)? {
                capture_trigger::remove_all(CAPTURE, table)?;
            }
            if belonging::sources_of(table)?.is_empty() {
                capture_trigger::remove_all(EACH, table)?;
            }
        }
    }
    Ok(())
}

/// Takes the lock that conflicts with every writer, on the table and on all below it, and returns those that have
/// triggers.
pub fn keep_writers_out(source: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    lock::relation(source, LockMode::ShareRowExclusive);
    members(source, LockMode::ShareRowExclusive)
}

fn ensure_buffer(source: pg_sys::Oid, attnums: &[i16]) -> Result<()> {
    let table = Relation::open(source, LockMode::None)?;
    if let Some(found) = buffer::find(source)? {
        if depend::belongs_to(found, source) {
            return extend(&table, found, attnums);
        }
        // A buffer of another table, which came with a dump and bears this number by chance.
        depend::drop_relation(found, false);
    }
    let qualified = qualified_buffer(source);
    let mut sql = format!(
        "CREATE TABLE {qualified} (__pgt_xid bigint NOT NULL, __pgt_epoch integer NOT NULL, \
         __pgt_w integer NOT NULL"
    );
    for attnum in attnums {
        sql.push_str(", ");
        sql.push_str(&column_definition(&table, *attnum)?);
    }
    sql.push(')');
    run(&sql)?;
    run(&format!(
        "CREATE INDEX ON {qualified} USING brin (__pgt_xid) \
         WITH (pages_per_range = {PAGES_PER_RANGE})"
    ))?;
    let created = buffer::find(source)?
        .ok_or_else(|| Error::Internal(format!("{qualified} is gone after its creation")))?;
    depend::drop_with(pg_sys::RelationRelationId, created, source);
    // Triggers may be there already, for a source above.
    depend::tell_of_change(source);
    Ok(())
}

/// Adds columns that are missing, replaces those whose type in the source has changed, and drops those that the
/// source has no more, which would keep their types alive.
fn extend(table: &Relation, found: pg_sys::Oid, attnums: &[i16]) -> Result<()> {
    let changes = Relation::open(found, LockMode::AccessShare)?;
    let present = buffer::columns(&changes);
    let (stored, given) = (
        attributes(changes.tuple_desc()),
        attributes(table.tuple_desc()),
    );
    let outdated: Vec<i16> = present
        .iter()
        .filter(|(position, attnum)| {
            match (stored.get(*position), given.get(*attnum as usize - 1)) {
                (Some(stored), Some(given)) => {
                    !given.attisdropped && stored.atttypid != given.atttypid
                }
                _ => false,
            }
        })
        .map(|(_, attnum)| *attnum)
        .collect();
    let gone: Vec<i16> = present
        .iter()
        .map(|(_, attnum)| *attnum)
        .filter(|attnum| {
            (given.get(*attnum as usize - 1)).is_some_and(|column| column.attisdropped)
        })
        .collect();
    drop(changes);
    let missing = || {
        let is_missing = |attnum: &&i16| !present.iter().any(|(_, there)| there == *attnum);
        attnums.iter().filter(is_missing)
    };
    let mut actions = Vec::new();
    for attnum in outdated.iter().chain(&gone) {
        actions.push(format!("DROP COLUMN {}", buffer::column_name(*attnum)));
    }
    for attnum in outdated.iter().chain(missing()) {
        actions.push(format!("ADD COLUMN {}", column_definition(table, *attnum)?));
    }
    if actions.is_empty() {
        return Ok(());
    }
    // ADD COLUMN has the constraints of a domain checked for each existing row, by functions of the role that
    // made the domain, with our rights.
    let added = outdated.iter().chain(missing()).copied();
    let is_checked = added
        .filter_map(|attnum| given.get(attnum as usize - 1))
        .any(|column| types::is_constrained_domain(column.atttypid));
    let mut is_emptied = false;
    if is_checked {
        let changes = Relation::open(found, LockMode::AccessExclusive)?;
        if changes.blocks() > 0 {
            removal::truncate(changes);
            is_emptied = true;
        }
    }
    run(&format!(
        "ALTER TABLE {} {}",
        qualified_buffer(table.oid()),
        actions.join(", ")
    ))?;
    if (is_emptied || !outdated.is_empty())
        && let Some(target) = target::towards(table.oid(), table.oid(), table.tuple_desc())?
    {
        // What was captured before, or in the old type, is lost.
        writer::push_recompute(&target, Marker::Rewritten)?;
    }
    Ok(())
}

fn ensure_triggers(source: pg_sys::Oid, tables: &[pg_sys::Oid]) -> Result<()> {
    let by_rows = belonging::needs_rows(source)?;
    let mode = cdc_trigger_mode();
    let native = native_writer()?;
    let (family, writer) = match mode {
        _ if by_rows => (EACH, native),
        TriggerMode::Native => (CAPTURE, native),
        TriggerMode::Sql => (CAPTURE, ensure_sql_writer(source)?),
    };
    for table in tables {
        if capture_trigger::ensure(family, *table, writer, native)? {
            seen::begin(family, *table);
        }
        belonging::prune(*table)?;
    }
    remove_strays(source, tables)?;
    if (mode == TriggerMode::Native || by_rows)
        && let Some(unused) = function::without_arguments(SCHEMA, &sql_writer(source))?
    {
        depend::drop_object(pg_sys::ProcedureRelationId, unused);
    }
    Ok(())
}

/// Whether a trigger that calls this function is native, and not generated.
pub fn is_native_writer(function: pg_sys::Oid) -> Result<bool> {
    Ok(function == native_writer()?)
}

fn native_writer() -> Result<pg_sys::Oid> {
    function::without_arguments("pgtrickle", "capture_native")?
        .ok_or_else(|| Error::Internal("pgtrickle.capture_native() is missing".into()))
}

/// Generates the PL/pgSQL writer of a source for the buffer's present columns.
fn ensure_sql_writer(source: pg_sys::Oid) -> Result<pg_sys::Oid> {
    run(&sql_writer_text(source)?)?;
    let function_name = sql_writer(source);
    let qualified = format!("{SCHEMA}.{function_name}");
    run(&format!("REVOKE ALL ON FUNCTION {qualified}() FROM PUBLIC"))?;
    let writer = function::without_arguments(SCHEMA, &function_name)?
        .ok_or_else(|| Error::Internal(format!("{qualified} is gone after its creation")))?;
    depend::drop_with(pg_sys::ProcedureRelationId, writer, source);
    Ok(writer)
}

fn sql_writer_text(source: pg_sys::Oid) -> Result<String> {
    let not_captured = || CaptureError::NotCaptured(source.to_u32().to_string());
    let found = buffer::find(source)?.ok_or_else(not_captured)?;
    let changes = Relation::open(found, LockMode::AccessShare)?;
    let table = Relation::open(source, LockMode::None)?;
    let given = attributes(table.tuple_desc());
    let columns: Vec<CapturedColumn> = buffer::columns(&changes)
        .into_iter()
        .filter_map(|(_, attnum)| {
            let column = given.get(attnum as usize - 1).filter(|a| !a.attisdropped)?;
            Some(CapturedColumn {
                buffer: buffer::column_name(attnum),
                source: name::quote(&attribute_name(column).to_string_lossy()),
            })
        })
        .collect();
    Ok(build_stmt_trigger_fn_sql(
        &format!("{SCHEMA}.{}", sql_writer(source)),
        &qualified_buffer(source),
        &columns,
    ))
}

fn sql_writer(source: pg_sys::Oid) -> String {
    format!("capture_{}", source.to_u32())
}

fn qualified_buffer(source: pg_sys::Oid) -> String {
    format!("{SCHEMA}.{}", buffer::name(source))
}

/// `a<attnum> type COLLATE …` as the source has it. A domain stays a domain.
fn column_definition(table: &Relation, attnum: i16) -> Result<String> {
    if attnum == buffer::TABLE {
        return Ok(format!("{} pg_catalog.oid", buffer::column_name(attnum)));
    }
    let given = attributes(table.tuple_desc());
    let column = given
        .get((attnum - 1).max(0) as usize)
        .filter(|column| !column.attisdropped && column.attnum == attnum)
        .ok_or_else(|| Error::Internal(format!("{} has no column {attnum}", table.name())))?;
    Ok(format!(
        "{} {}",
        buffer::column_name(attnum),
        type_name::definition(column.atttypid, column.atttypmod, column.attcollation)?
    ))
}

fn run(sql: &str) -> Result<()> {
    Spi::run(sql).map_err(|error| Error::Internal(format!("{error} in {sql}")))
}

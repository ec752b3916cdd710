//! Event triggers on drops and alterations. They run in every session, so they set their own `search_path`. The most
//! frequent one sets it only if it has something to look for.

use std::collections::BTreeSet;

use pgrx::prelude::*;

use super::commands::{self, Command, Dropped};
use super::internal_view::{STATE_SCHEMA, id_of_view};
use super::{aside, columns, distributed, functions, owner, protect, remove, types, wake};
use crate::catalog;
use crate::cdc::{self, Marker};
use crate::error::{Error, Result, or_report};
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::settings::Level;
use crate::pg::{
    alter_table_hook, capture_trigger, depend, event_trigger, extension, file_moves, inherit,
    invalidation, name, rows_of,
};
use crate::refresh::immediate;

extension_sql!(
    r#"
CREATE EVENT TRIGGER pgtrickle_on_sql_drop ON sql_drop
    EXECUTE FUNCTION pgtrickle.on_sql_drop();
CREATE EVENT TRIGGER pgtrickle_on_alter_table ON ddl_command_end
    WHEN TAG IN ('ALTER AGGREGATE', 'ALTER COLLATION', 'ALTER DOMAIN', 'ALTER EXTENSION', 'ALTER FOREIGN TABLE', 'ALTER FUNCTION', 'ALTER OPERATOR', 'ALTER OPERATOR CLASS',
                 'ALTER OPERATOR FAMILY', 'ALTER ROUTINE', 'ALTER SCHEMA', 'ALTER TABLE', 'ALTER TEXT SEARCH CONFIGURATION',
                 'ALTER TEXT SEARCH DICTIONARY', 'ALTER TYPE', 'ALTER VIEW', 'CREATE AGGREGATE',
                 'CREATE FOREIGN TABLE', 'CREATE FUNCTION', 'CREATE OPERATOR CLASS', 'CREATE RULE', 'CREATE TABLE', 'CREATE VIEW')
    EXECUTE FUNCTION pgtrickle.on_alter_table();
CREATE EVENT TRIGGER pgtrickle_on_alter_trigger ON ddl_command_end
    WHEN TAG IN ('ALTER TRIGGER', 'CREATE TRIGGER')
    EXECUTE FUNCTION pgtrickle.on_alter_trigger();
CREATE EVENT TRIGGER pgtrickle_on_table_rewrite ON table_rewrite
    EXECUTE FUNCTION pgtrickle.on_table_rewrite();
-- Also where session_replication_role is replica.
ALTER EVENT TRIGGER pgtrickle_on_sql_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_alter_table ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_alter_trigger ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_table_rewrite ENABLE ALWAYS;
"#,
    name = "event_triggers",
    requires = [
        on_sql_drop,
        on_alter_table,
        on_alter_trigger,
        on_table_rewrite
    ]
);

/// Cleans up after dropped stream tables and dropped sources.
#[pg_extern(sql = r#"
CREATE FUNCTION pgtrickle.on_sql_drop() RETURNS event_trigger
LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION pgtrickle.on_sql_drop() IS 'cleans up after dropped stream tables and sources';
REVOKE ALL ON FUNCTION pgtrickle.on_sql_drop() FROM PUBLIC;
"#)]
fn on_sql_drop() {
    invalidation::alters();
    or_report(commands::dropped().and_then(|dropped| {
        // First, since what is cleaned up is dropped, too.
        protect::keep_indexes(&dropped)?;
        clean_up(&dropped)?;
        protect::keep_triggers(&dropped)
    }));
}

fn clean_up(dropped: &[Dropped]) -> Result<()> {
    let mut relations = dropped.iter().filter(|dropped| dropped.is_relation());
    super::dropped::told(relations.clone().map(|relation| relation.object));
    if relations.clone().next().is_none() || !catalog::exists() {
        return Ok(());
    }
    for relation in relations.clone() {
        if let Some(table) = catalog::load_by_relid(relation.object)? {
            distributed::note_dropped(table.pgt_id, relation.object)?;
            remove::forget(table.pgt_id)?;
        }
    }
    // A view takes its stream table with it, except where a dump has lost that dependency and
    // nothing has been restored yet: then what is left is a plain table.
    relations.try_for_each(|relation| match relation.names.as_slice() {
        [schema, name] if schema == STATE_SCHEMA => forget_view(name, relation.object),
        _ => Ok(()),
    })?;
    immediate::follow_definitions()
}

/// Forgets the stream table whose view this was, if it is still known.
fn forget_view(name: &str, view: pg_sys::Oid) -> Result<()> {
    match id_of_view(name).map(catalog::load).transpose()?.flatten() {
        Some(table) if table.view == view => remove::forget(table.pgt_id),
        _ => Ok(()),
    }
}

/// Adapts the parts of an altered stream table, and the capture of an altered source. An update of an
/// extension, including this one, may change what plans depend on.
#[pg_extern(sql = r#"
CREATE FUNCTION pgtrickle.on_alter_table() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION pgtrickle.on_alter_table() IS 'keeps the parts of altered stream tables consistent';
REVOKE ALL ON FUNCTION pgtrickle.on_alter_table() FROM PUBLIC;
"#)]
fn on_alter_table(call: pg_sys::FunctionCallInfo) {
    // Objects made in the script of an extension would belong to it. The end of ALTER EXTENSION fires this trigger, too.
    if extension::is_running_script() || event_trigger::makes_only_new(call) {
        return;
    }
    invalidation::alters();
    if event_trigger::renames_schema(call) {
        return or_report(protect::keep_schemas());
    }
    let moves = event_trigger::moves_to_schema(call);
    let altered = event_trigger::alters_table(call).then(alter_table_hook::altered);
    or_report(
        follow_table(altered.flatten()).and_then(|is_done| match is_done {
            true => Ok(()),
            false => {
                let _level = Level::with_pinned_path();
                let commands = commands::ended()?;
                if moves {
                    keep_out(&commands)?;
                }
                follow_commands(&commands)
            }
        }),
    );
}

/// Follows an `ALTER TABLE` of this table, if no stream table has to do with it. Then the server need not be asked what
/// else the command made: indexes and sequences of that table. Whether all is done.
fn follow_table(altered: Option<pg_sys::Oid>) -> Result<bool> {
    let Some(table) = altered else {
        return Ok(false);
    };
    if alter_table_hook::has_relatives() || !is_unrelated(table)? || depend::row_type_is_used(table)
    {
        return Ok(false);
    }
    if catalog::has_immediate()? {
        let _level = Level::with_pinned_path();
        immediate::follow_definitions()?;
    }
    Ok(true)
}

/// Whether a table is not a stream table or a part of one, and neither it nor any of its relatives is read by one.
/// Stream tables and captured tables have our triggers.
fn is_unrelated(table: pg_sys::Oid) -> Result<bool> {
    protect::keep_part(table)?;
    for member in protect::family(table) {
        if catalog::is_read(member)? || capture_trigger::are_on(member) || protect::is_part(member)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Refuses stream tables that have been moved to where the extension keeps its own.
fn keep_out(commands: &[Command]) -> Result<()> {
    for command in commands {
        if let Some(table) = catalog::load_by_relid(command.object)?
            && let Some(schema) = name::namespace_of(table.relid)
        {
            protect::keep_out_of(schema, &table.plain_name())?;
        }
    }
    Ok(())
}

fn follow_commands(commands: &[Command]) -> Result<()> {
    let is_of = |classes: &[pg_sys::Oid]| commands.iter().any(|c| classes.contains(&c.class));
    follow_relatives(&alter_table_hook::take_relatives())?;
    let mut is_forgotten = false;
    if is_of(functions::CLASSES) {
        is_forgotten |= functions::forget_plans()?;
    }
    if commands.iter().any(types::are_altered) {
        is_forgotten |= types::forget_plans()?;
    }
    let is_new =
        |command: &Command| command.tag.starts_with("CREATE") && command.tag.ends_with("TABLE");
    let relations = commands.iter().filter(|command| {
        command.class == pg_sys::RelationRelationId
            && (!is_new(command) || inherit::has_parent(command.object))
    });
    // One that comes may have gone, with what was written to it, before a refresh looks.
    let children: Vec<pg_sys::Oid> = (relations.clone())
        .filter(|command| is_new(command))
        .map(|command| command.object)
        .collect();
    follow_relatives(&children)?;
    let relations: BTreeSet<u32> = relations.map(|command| command.object.to_u32()).collect();
    let relations: Vec<pg_sys::Oid> = relations.into_iter().map(pg_sys::Oid::from).collect();
    // The query of a view is a rule.
    let rests_on_it = [
        pg_sys::TypeRelationId,
        pg_sys::ExtensionRelationId,
        pg_sys::RewriteRelationId,
    ];
    if is_forgotten || !relations.is_empty() || is_of(&rests_on_it) {
        follow(&relations)?;
    }
    Ok(())
}

/// Has the readers of these tables recomputed, which have got or lost a parent or a child. While a table is apart from its
/// source, or below another, no trigger of the source sees what is written to it, and before a refresh looks all may
/// be as it was.
fn follow_relatives(relatives: &[pg_sys::Oid]) -> Result<()> {
    for table in relatives {
        // A command that failed has left its tables noted; they may be gone by the next one that looks.
        if Relation::try_open(*table, LockMode::AccessShare).is_none() {
            continue;
        }
        cdc::follow_rewrite(*table, Marker::Rewritten)?;
    }
    Ok(())
}

/// Protects the triggers that stream tables depend on.
#[pg_extern(sql = r#"
CREATE FUNCTION pgtrickle.on_alter_trigger() RETURNS event_trigger
LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION pgtrickle.on_alter_trigger() IS 'protects the triggers that stream tables need';
REVOKE ALL ON FUNCTION pgtrickle.on_alter_trigger() FROM PUBLIC;
"#)]
fn on_alter_trigger() {
    let outcome = triggers_of(protect::ALTERED_TRIGGERS)
        .and_then(protect::keep_altered)
        .and_then(|()| protect::keep_parts_bare(triggers_of(protect::TRIGGERS_OF_PARTS)?));
    or_report(outcome);
}

/// Handles altered relations, and whatever else plans depend on.
fn follow(altered: &[pg_sys::Oid]) -> Result<()> {
    for relid in altered {
        protect::keep_part(*relid)?;
        protect::keep_alone(*relid)?;
        if let Some(table) = catalog::load_by_relid(*relid)?
            && table.require_home().is_ok()
        {
            columns::require_same_types(&table.plain_name(), table.relid, table.view)?;
            protect::keep_columns(&table)?;
            protect::keep_from_actions(&table)?;
            owner::sync(&table)?;
        }
        aside::follow(*relid)?;
        cdc::follow_alter(*relid)?;
        if capture_trigger::rearm(*relid)? {
            cdc::follow_rewrite(*relid, Marker::Unseen)?;
            immediate::note_rewrite(*relid)?;
            // Its own content may be another, too: the guard was off.
            if let Some(table) = catalog::load_by_relid(*relid)? {
                catalog::lock(table.pgt_id)?;
                catalog::forget_plan(table.pgt_id)?;
            }
        }
    }
    wake::readers_of(altered)?;
    immediate::follow_definitions()
}

/// Has the stream tables over a rewritten table recomputed.
#[pg_extern(sql = r#"
CREATE FUNCTION pgtrickle.on_table_rewrite() RETURNS event_trigger
LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION pgtrickle.on_table_rewrite() IS 'recomputes the readers of rewritten tables';
REVOKE ALL ON FUNCTION pgtrickle.on_table_rewrite() FROM PUBLIC;
"#)]
fn on_table_rewrite() {
    const TABLE: &str = "SELECT pg_catalog.pg_event_trigger_table_rewrite_oid()";
    let outcome = rows_of::column::<pg_sys::Oid>(TABLE, &[]).and_then(|rewritten| {
        let reason = Spi::get_one("SELECT pg_catalog.pg_event_trigger_table_rewrite_reason()");
        let reason = reason.map_err(|error| Error::Internal(error.to_string()))?;
        rewritten.into_iter().try_for_each(|table| {
            protect::keep_content(table, reason.unwrap_or(0))?;
            file_moves::told(table);
            cdc::follow_rewrite(table, Marker::Rewritten)?;
            immediate::note_rewrite(table)
        })
    });
    or_report(outcome);
}

/// Runs a query that returns triggers by table and name.
fn triggers_of(sql: &str) -> Result<Vec<protect::Trigger>> {
    rows_of::rows(sql, &[], |row| Ok(row.get(1)?.zip(row.get(2)?)))
}

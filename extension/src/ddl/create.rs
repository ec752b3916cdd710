//! Creating a stream table: its view, its table, its catalog row; then the refresh takes over.

use pgrx::pg_sys;

use super::definition::Definition;
use super::internal_view::{STATE_SCHEMA, view_name};
use super::keeper::Keeper;
use super::mode::Decision;
use super::rebuild::redecide;
use super::{protect, ties};
use crate::catalog::{self, Status, StreamTable};
use crate::error::{Error, Result};
use crate::pg::lock::{Lockable, Mode};
use crate::pg::lock_mode::LockMode;
use crate::pg::name::NewName;
use crate::pg::relation::Relation;
use crate::pg::tupdesc::{attribute_name, attributes};
use crate::pg::{depend, name, utility, view};
use crate::refresh;

/// Creates a stream table, owned by the current user, who needs the privileges that creating a
/// table and reading the query's tables need.
pub fn create(definition: &Definition) -> Result<()> {
    let target = name::new_relation(definition.name)?;
    protect::keep_out_of(target.namespace, &target.name)?;
    if name::relation_in(target.namespace, &target.name)?.is_some() {
        return Err(Error::NameTaken(target.name));
    }
    let pgt_id = catalog::new_id()?;
    let view_name = view_name(pgt_id);
    let (settled, told) = ties::settled(definition.query, &definition.settings)?;
    let view = view::create(STATE_SCHEMA, &view_name, settled.query)?;
    ties::keep(view, &settled.ties);
    let keeper = Keeper::find(view, definition)?;
    let decision = keeper.decide(view, definition)?;
    let relid = create_table(&target, &view_name)?;
    if let Keeper::Nodes(spread) = &keeper {
        spread.apply(relid, &target.qualified, &view_name, definition.initialize)?;
    }
    adopt(relid, view)?;
    let (mode_code, mode_reason) = keeper.why().or_else(|| decision.why()).unzip();
    catalog::insert(
        &StreamTable {
            pgt_id,
            relid,
            view,
            schedule: definition.schedule.to_owned(),
            requested_mode: decision.requested,
            refresh_mode: decision.used,
            mode_code,
            mode_reason,
            status: Status::Active,
            is_populated: false,
            defining_query_hash: None,
            frontier: None,
            home: catalog::Home::of(relid),
            data_timestamp: None,
            // Nothing notifies the coordinator of changes and of shards that move.
            is_polled: !matches!(keeper, Keeper::Server(_)),
            settings: definition.settings.clone(),
            zone_rules: None,
        },
        definition.query,
    )?;
    decision.insert_dependencies(pgt_id)?;
    decision.announce(&target.name);
    ties::announce(&target.name, &told);
    match &keeper {
        Keeper::Nodes(spread) => spread.announce(&target.name),
        Keeper::Both(divided) => {
            divided.apply(pgt_id)?;
            refresh::prepare(pgt_id)?;
            divided.announce(&target.name)?;
        }
        Keeper::Server(_) => fill(pgt_id, decision, definition.initialize)?,
    }
    Ok(())
}

/// Has those that create a table of the same name do so one after the other, so that the second finds it.
pub fn lock_name(target: &NewName) {
    Lockable::of_name(target.namespace, &target.name).lock(Mode::Exclusive);
}

/// Fills a new stream table, or makes what its first refresh needs.
fn fill(pgt_id: i64, decision: Decision, now: bool) -> Result<()> {
    refresh::prepare_as_decided(pgt_id, decision.draft.clone())?;
    if now {
        let done = refresh::run(pgt_id, refresh::Request::default())?;
        if let Some(message) = done.failed_for_good() {
            redecide(pgt_id, decision.without_state(message)?)?;
        }
    }
    refresh::keep_if_few(pgt_id);
    Ok(())
}

/// Makes view and table one object, and guards the table.
pub fn adopt(relid: pg_sys::Oid, view: pg_sys::Oid) -> Result<()> {
    depend::make_part_of(view, relid);
    refresh::guard::attach(relid)
}

/// Creates the table with the statement that the user could have run, so that PostgreSQL checks privileges.
fn create_table(target: &NewName, view_name: &str) -> Result<pg_sys::Oid> {
    let qualified = &target.qualified;
    utility::run(&format!(
        "CREATE TABLE {qualified} AS SELECT * FROM {STATE_SCHEMA}.{view_name} WITH NO DATA"
    ))?;
    let relid = name::relation_in(target.namespace, &target.name)?
        .ok_or_else(|| Error::Internal(format!("table {qualified} vanished")))?;
    require_as_made(relid, view_name, target)?;
    Ok(relid)
}

/// Refuses a table that an event trigger of the user's has altered as soon as it was there: it has exactly the columns of
/// its query, and a log.
fn require_as_made(relid: pg_sys::Oid, view_name: &str, target: &NewName) -> Result<()> {
    let table = Relation::open(relid, LockMode::AccessShare)?;
    let state = name::find_namespace(&name::c_string(STATE_SCHEMA)?).ok_or(Error::Vanished)?;
    let view = name::relation_in(state, view_name)?.ok_or(Error::Vanished)?;
    let view = Relation::open(view, LockMode::AccessShare)?;
    let columns = |relation: &Relation| -> Vec<_> {
        attributes(relation.tuple_desc())
            .iter()
            .map(|column| (attribute_name(column).to_owned(), column.atttypid))
            .collect()
    };
    let is_as_made = columns(&table) == columns(&view)
        && table.persistence() == pg_sys::RELPERSISTENCE_PERMANENT;
    match is_as_made {
        true => Ok(()),
        false => Err(Error::AlteredAtCreation(target.name.clone())),
    }
}

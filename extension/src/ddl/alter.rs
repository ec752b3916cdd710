//! Changing a stream table: schedule, status, mode, query, settings.

use pgrx::pg_sys;

use crate::catalog::{self, RefreshMode, RequestedMode, Status, StreamTable};
use crate::dag::check_for_cycles;
use crate::error::{Result, SpreadError};
use crate::pg::{depend, user, view};
use crate::{parse, refresh};

use super::columns::Column;
use super::internal_view::{STATE_SCHEMA, view_name};
use super::rebuild::rebuild;
use super::recreate::{Replacement, recreate};
use super::{columns, locks, ties};

/// What to change; `None` keeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes<'a> {
    /// Text of a new query.
    pub query: Option<&'a str>,
    /// Schedule, already checked.
    pub schedule: Option<&'a str>,
    /// Refresh mode.
    pub mode: Option<RequestedMode>,
    /// Status.
    pub status: Option<Status>,
    /// Settings: `name=value`, or `name` for the value of the session.
    pub settings: &'a [String],
}

/// Applies the changes. A new query or mode, or other settings, rebuild state and content.
pub fn alter(table: &StreamTable, changes: &Changes) -> Result<()> {
    locks::lock_sources_of(table, changes.mode.unwrap_or(table.requested_mode))?;
    let table = &locks::lock(table)?;
    table.require_home()?;
    if table.is_spread() || table.is_in_two_steps() {
        return alter_spread(table, changes);
    }
    if let Some(status) = changes.status {
        set_status(table, status)?;
    }
    let settings = table.settings.changed(changes.settings)?;
    let has_other_settings = settings != table.settings;
    let table = &StreamTable {
        settings,
        ..table.clone()
    };
    if has_other_settings {
        catalog::set_settings(table.pgt_id, &table.settings)?;
    }
    let requested = changes.mode.unwrap_or(table.requested_mode);
    let replaced = match changes.query {
        Some(query) => replace_view(table, query)?,
        None => Replaced::Same,
    };
    if let (Replaced::OtherColumns(columns, difference), Some(query)) = (&replaced, changes.query) {
        let replacement = Replacement {
            query,
            schedule: changes.schedule.unwrap_or(&table.schedule),
            mode: requested,
            columns,
            difference,
        };
        let table = StreamTable {
            status: changes.status.unwrap_or(table.status),
            ..table.clone()
        };
        return recreate(&table, &replacement);
    }
    if let Some(schedule) = changes.schedule {
        catalog::set_schedule(table.pgt_id, schedule)?;
    }
    if matches!(replaced, Replaced::OtherQuery)
        || has_other_settings
        || requested != table.requested_mode
        // What stood in the way may be gone.
        || changes.mode.is_some() && table.mode_code.is_some()
    {
        rebuild(table.pgt_id, requested)?;
    }
    Ok(())
}

/// Changes schedule and status, and tells the nodes that keep the stream table. They do so for themselves; if this
/// transaction fails, the next refresh tells them what holds.
fn alter_spread(table: &StreamTable, changes: &Changes) -> Result<()> {
    let is_same = changes.mode.is_none_or(|mode| mode == table.requested_mode);
    if changes.query.is_some() || !is_same || !changes.settings.is_empty() {
        return Err(SpreadError::Fixed(table.plain_name()).into());
    }
    if let Some(schedule) = changes.schedule {
        catalog::set_schedule(table.pgt_id, schedule)?;
    }
    if let Some(status) = changes.status {
        catalog::set_status(table.pgt_id, status)?;
    }
    if table.is_in_two_steps() {
        // The next refresh notifies the nodes.
        return Ok(());
    }
    let table = catalog::existing(table.pgt_id)?;
    refresh::ask_nodes(&table, refresh::Task::Define).map(|_| ())
}

/// Stores another status. An IMMEDIATE stream table has not followed while it was suspended.
pub fn set_status(table: &StreamTable, status: Status) -> Result<()> {
    let is_behind = table.refresh_mode == RefreshMode::Immediate
        && table.is_populated
        && (table.status, status) == (Status::Suspended, Status::Active);
    if is_behind {
        refresh::run(table.pgt_id, refresh::Request::default())?;
    }
    catalog::set_status(table.pgt_id, status)
}

/// What a new query is to the current one.
enum Replaced {
    /// It means the same.
    Same,
    /// It has the same columns.
    OtherQuery,
    /// It has others; the first difference.
    OtherColumns(Vec<Column>, String),
}

/// Puts a new view in the place of the current one if it means something else and has the same
/// columns, or more after these. The owner of the stream table stays that of the view.
fn replace_view(table: &StreamTable, query: &str) -> Result<Replaced> {
    let present_columns = columns::of(table.view)?;
    let present_text = view::definition(table.view)?;
    let name = view_name(table.pgt_id);
    let (settled, told) = ties::settled(query, &table.settings)?;
    let new = view::create(STATE_SCHEMA, &format!("{name}_new"), settled.query)?;
    ties::keep(new, &settled.ties);
    let new_columns = columns::of(new)?;
    let added = new_columns.strip_prefix(present_columns.as_slice());
    if added.is_none()
        && let Some(difference) = columns::first_difference(&present_columns, &new_columns)
    {
        depend::drop_relation(new, false);
        return Ok(Replaced::OtherColumns(new_columns, difference));
    }
    if view::definition(new)? == present_text {
        depend::drop_relation(new, false);
        return Ok(Replaced::Same);
    }
    let owner = depend::owner_of(table.relid).unwrap_or(pg_sys::InvalidOid);
    let sources = parse::analyse_view(new, owner, &table.settings)?.sources;
    check_for_cycles(table, sources.iter().map(|source| source.oid))?;
    depend::detach(table.view);
    depend::drop_relation(table.view, false);
    view::rename(new, &name)?;
    depend::make_part_of(new, table.relid);
    if let Some(owner) = depend::owner_of(table.relid)
        && owner != user::current()
    {
        depend::change_owner(new, owner);
    }
    catalog::set_definition(table.pgt_id, new, query)?;
    columns::add(table, new, added.unwrap_or_default())?;
    ties::announce(&table.plain_name(), &told);
    Ok(Replaced::OtherQuery)
}

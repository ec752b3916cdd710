//! Creating a stream table: its view, its table, its catalog row; then the refresh takes over.

use pgrx::prelude::*;

use super::divided::{self, Divided};
use super::internal_view::{STATE_SCHEMA, view_name};
use super::mode::Crossing;
use super::rebuild::redecide;
use super::spread::{self, Finding, Spread};
use super::{mode, ties};
use crate::catalog::{self, RequestedMode, Status, StreamTable};
use crate::error::{Error, Result};
use crate::pg::name::NewName;
use crate::pg::settings::Settings;
use crate::pg::{depend, name, user, view};
use crate::refresh;

/// A stream table to be created.
#[derive(Debug, Clone)]
pub struct Definition<'a> {
    /// Possibly qualified name.
    pub name: &'a str,
    /// Text of the query.
    pub query: &'a str,
    /// Schedule, already checked.
    pub schedule: &'a str,
    /// Refresh mode.
    pub mode: RequestedMode,
    /// Whether to fill it now.
    pub initialize: bool,
    /// Whether it may be spread over the nodes of a cluster.
    pub may_spread: bool,
    /// By which of its columns, if that is not to be derived.
    pub distribution_column: Option<&'a str>,
    /// The settings under which its query is read and runs.
    pub settings: Settings,
}

/// Creates a stream table, owned by the current user, who needs the privileges that creating a
/// table and reading the query's tables need.
pub fn create(definition: &Definition) -> Result<()> {
    let target = name::new_relation(definition.name)?;
    let pgt_id = catalog::new_id()?;
    let view_name = view_name(pgt_id);
    let (settled, told) = ties::settled(definition.query, &definition.settings)?;
    let view = view::create(STATE_SCHEMA, &view_name, settled.query)?;
    ties::keep(view, &settled.ties);
    let (owner, settings) = (user::current(), &definition.settings);
    let found = match definition.may_spread {
        true => spread::find(
            view,
            owner,
            settings,
            definition.mode,
            definition.distribution_column,
        )?,
        false => Finding::Local,
    };
    let (spread, crossing) = match found {
        Finding::Spread(spread) => (Some(spread), None),
        Finding::Crosses(why) => (None, Some(why)),
        Finding::Local => (None, None),
    };
    let divided = match &spread {
        None if definition.may_spread => divided::find(view, owner, settings, definition.mode)?,
        _ => divided::Finding::Whole,
    };
    let crossing = crossing.map(|why| Crossing {
        why,
        by_images: matches!(divided, divided::Finding::ByImages),
    });
    let divided = match divided {
        divided::Finding::Divided(divided) => Some(divided),
        divided::Finding::ByImages | divided::Finding::Whole => None,
    };
    let decision = match (&spread, &divided) {
        (Some(spread), _) => spread.decision(definition.mode),
        (None, Some(divided)) => divided.decision(definition.mode),
        (None, None) => mode::decide(view, owner, settings, definition.mode, crossing.as_ref())?,
    };
    let relid = create_table(&target, &view_name)?;
    if let Some(spread) = &spread {
        spread.apply(relid, &target.qualified, &view_name, definition.initialize)?;
    }
    adopt(relid, view)?;
    let (mode_code, mode_reason) = match (&spread, &divided) {
        (Some(spread), _) => (Some(Spread::CODE.to_owned()), Some(spread.reason())),
        (None, Some(divided)) => (Some(Divided::CODE.to_owned()), Some(divided.reason())),
        (None, None) => decision.why().unzip(),
    };
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
            home: catalog::home(),
            data_timestamp: None,
            // Nothing tells the coordinator of changes, and of shards that move.
            is_polled: spread.is_some() || divided.is_some(),
            settings: definition.settings.clone(),
            zone_rules: None,
        },
        definition.query,
    )?;
    decision.insert_dependencies(pgt_id)?;
    decision.announce(&target.name);
    ties::announce(&target.name, &told);
    if let Some(spread) = &spread {
        spread.announce(&target.name);
        return Ok(());
    }
    if let Some(divided) = &divided {
        divided.apply(pgt_id)?;
        refresh::prepare(pgt_id)?;
        return divided.announce(&target.name);
    }
    refresh::prepare_as_decided(pgt_id, decision.draft.clone())?;
    if definition.initialize {
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
    Spi::run(&format!(
        "CREATE TABLE {qualified} AS SELECT * FROM {STATE_SCHEMA}.{view_name} WITH NO DATA"
    ))
    .map_err(|error| Error::Internal(error.to_string()))?;
    name::relation_in(target.namespace, &target.name)?
        .ok_or_else(|| Error::Internal(format!("table {qualified} vanished")))
}

//! This node's shards of a spread stream table: each is an ordinary stream table over the co-located shards.
//!
//! The coordinator sends the query over tables. Here the shards replace their tables, and
//! the view is stored in that form: from then on nothing knows of Citus. A view is dropped with its shard, but not vice
//! versa: if a shard that it reads is dropped, a plain table remains, which the next task turns into a stream
//! table again.

use pgrx::pg_sys;
use pgtrickle_dvm::canary;

use crate::catalog::{self, RequestedMode, Status, StreamTable};
use crate::error::{CitusTable, Error, Obstacle, Result, SpreadError};
use crate::parse;
use crate::pg::citus::{self, Shard};
use crate::pg::local_settings::LocalSettings;
use crate::pg::settings::Settings;
use crate::pg::user::OwnerContext;
use crate::pg::{acl, depend, shards, view};
use crate::refresh::{self, Request, Sum, Task, guard};

use super::internal_view::{STATE_SCHEMA, view_name};
use super::{alter, mode, remove};

/// What the coordinator sends about a stream table.
#[derive(Debug, Clone)]
pub struct Definition<'a> {
    /// The query, over tables.
    pub query: &'a str,
    /// Schedule, already checked.
    pub schedule: &'a str,
    /// Whether it is refreshed by its schedule.
    pub status: Status,
    /// The settings under which the query is read and runs.
    pub settings: Settings,
}

/// Does the task for every shard of the table that this node has.
pub fn maintain(table: pg_sys::Oid, definition: &Definition<'_>, task: Task) -> Result<Sum> {
    let mut sum = Sum::default();
    for shard in of_this_node(table) {
        let relation = citus::relation_of(table, shard.id)?;
        let relation = relation.ok_or(SpreadError::ShardMissing(shard.id))?;
        let pgt_id = ensure(table, &shard, relation, definition)?;
        if task == Task::Define || is_lost(pgt_id)? {
            continue;
        }
        let request = Request {
            force_full: task == Task::Recompute,
            ..Request::default()
        };
        sum.add(&refresh::run(pgt_id, request)?);
    }
    Ok(sum)
}

/// The shards of a table that this node has.
pub(super) fn of_this_node(table: pg_sys::Oid) -> Vec<Shard> {
    let mut shards = citus::shards(table);
    shards.retain(|shard| citus::is_here(shard.id));
    if canary::active(canary::SHARD_GROUP_FORGOTTEN) {
        shards.pop();
    }
    shards
}

/// Whether a seeded bug has the stream table of a shard count as up to date, though it was never filled.
pub(super) fn is_lost(pgt_id: i64) -> Result<bool> {
    let is_lost =
        canary::active(canary::CHANGE_LOST_AT_MOVE) && !catalog::existing(pgt_id)?.is_populated;
    if is_lost {
        // Nor is it for the scheduler to fill.
        catalog::set_status(pgt_id, Status::Suspended)?;
    }
    Ok(is_lost)
}

/// The stream table that a shard is, by this definition.
fn ensure(
    table: pg_sys::Oid,
    shard: &Shard,
    relation: pg_sys::Oid,
    definition: &Definition<'_>,
) -> Result<i64> {
    let present = catalog::load_by_relid(relation)?;
    if let Some(present) = &present
        && is_kept(present, definition)?
    {
        return Ok(present.pgt_id);
    }
    // Who may only refresh does not say what is computed with the owner's rights.
    if !acl::owns_relation(table) {
        return Err(Error::NotOwner(
            crate::pg::name::relation_name(table).unwrap_or_default(),
        ));
    }
    if let Some(present) = present {
        remove::forget(present.pgt_id)?;
    }
    // Capture waits for writers: for one that the coordinator holds up meanwhile, without end.
    let _patience = LocalSettings::enter(&[(c"lock_timeout", c"30s")]);
    create(table, shard, relation, definition)
}

/// Whether a stream table has this query, under these settings. If so, it is given schedule and status.
pub(super) fn is_kept(present: &StreamTable, definition: &Definition<'_>) -> Result<bool> {
    if present.settings != definition.settings
        || catalog::query_of(present.pgt_id)?.as_deref() != Some(definition.query)
    {
        return Ok(false);
    }
    if present.schedule != definition.schedule {
        catalog::set_schedule(present.pgt_id, definition.schedule)?;
    }
    if present.status != definition.status {
        alter::set_status(present, definition.status)?;
    }
    Ok(true)
}

/// Makes a stream table of a shard.
fn create(
    table: pg_sys::Oid,
    shard: &Shard,
    relation: pg_sys::Oid,
    definition: &Definition<'_>,
) -> Result<i64> {
    let owner = depend::owner_of(relation).ok_or(Error::Vanished)?;
    let pgt_id = catalog::new_id()?;
    let _owner = OwnerContext::enter(owner, &definition.settings)?;
    let view = view_of(table, shard, pgt_id, definition)?;
    register(pgt_id, shard, relation, view, definition)
}

/// Makes the view of a query over the shards that are beside a shard of `table`.
pub(super) fn view_of(
    table: pg_sys::Oid,
    shard: &Shard,
    pgt_id: i64,
    definition: &Definition<'_>,
) -> Result<pg_sys::Oid> {
    let query = parse::single_select(definition.query, &definition.settings)?;
    shards::replace(query, &|read| beside(table, shard, read))?;
    view::create(STATE_SCHEMA, &view_name(pgt_id), query)
}

/// Makes a table, as whose owner we are, the stream table of a view.
pub(super) fn register(
    pgt_id: i64,
    shard: &Shard,
    relation: pg_sys::Oid,
    view: pg_sys::Oid,
    definition: &Definition<'_>,
) -> Result<i64> {
    let owner = depend::owner_of(relation).ok_or(Error::Vanished)?;
    let decision = mode::decide(
        view,
        owner,
        &definition.settings,
        RequestedMode::Differential,
        None,
    );
    // The coordinator receives only the message of an error.
    let decision = decision.map_err(|error| match error {
        Error::Unsupported(obstacles) => Error::from(SpreadError::NotMaintained {
            shard: shard.id,
            why: Obstacle::reasons(&obstacles),
        }),
        other => other,
    })?;
    depend::drop_with(pg_sys::RelationRelationId, view, relation);
    if !guard::is_attached(relation)? {
        guard::attach(relation)?;
    }
    catalog::insert(
        &StreamTable {
            pgt_id,
            relid: relation,
            view,
            schedule: definition.schedule.to_owned(),
            requested_mode: decision.requested,
            refresh_mode: decision.used,
            mode_code: None,
            mode_reason: None,
            status: definition.status,
            is_populated: false,
            defining_query_hash: None,
            frontier: None,
            home: catalog::Home::of(relation),
            data_timestamp: None,
            is_polled: false,
            settings: definition.settings.clone(),
            zone_rules: None,
        },
        definition.query,
    )?;
    decision.insert_dependencies(pgt_id)?;
    refresh::prepare(pgt_id)?;
    Ok(pgt_id)
}

/// The shard on this node that is to be read in the place of a table, beside a shard of `table`.
fn beside(table: pg_sys::Oid, shard: &Shard, read: pg_sys::Oid) -> Result<Option<pg_sys::Oid>> {
    let (Some(own), Some(other)) = (citus::distribution(table), citus::distribution(read)) else {
        return Ok(None);
    };
    match other.kind {
        CitusTable::Local => Ok(None),
        CitusTable::Reference => citus::local_copy(read),
        CitusTable::Distributed if own.colocation != other.colocation => Ok(None),
        CitusTable::Distributed => {
            let shards = citus::shards(read);
            let is_beside =
                |other: &&Shard| shard.minimum.is_some() && other.minimum == shard.minimum;
            let beside = shards.iter().find(is_beside);
            beside.map_or(Ok(None), |beside| citus::relation_of(read, beside.id))
        }
    }
}

//! A refresh as a whole: locks, choice, snapshot, work, frontier, history.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::rc::Rc;
use std::time::Instant;

use pgrx::pg_sys;

use crate::catalog::{self, Action, HistoryRow, Reason, RefreshMode, StreamTable};
use crate::cdc::SharedDeltas;
use crate::config;
use crate::error::{Error, Result};
use crate::frontier::{epoch, of_active_snapshot, top_xid};
use crate::pg::cluster::{self, Moment};
use crate::pg::memory::MemoryContext;
use crate::pg::relation::Relation;
use crate::pg::snapshot::{self, ActiveSnapshot};
use crate::pg::{depend, inherit, replica_identity, report, utility};
use crate::shmem::counters::REFRESHES_WITHOUT_DATA;
use crate::shmem::notes;
use crate::{cdc, parse};

use super::choice::Choice;
use super::compiled::{self, Compiled};
use super::dependencies;
use super::draft::Draft;
use super::files::Files;
use super::keyed_table::Counts;
use super::work::Work;
use super::{immediate, layout, rewritten, spread, two_steps};

/// What is asked of a refresh.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Recompute, whatever the changes.
    pub force_full: bool,
    /// Refresh at the active snapshot, which belongs to a group of stream tables that the caller
    /// has locked with [`lock_before_snapshot`], and leave the buffers for [`clean_up_after`]. What these
    /// have read of their sources.
    pub group: Option<&'a SharedDeltas>,
    /// Fail rather than apply more change rows than this.
    pub fuse_rows: Option<u64>,
}

/// What a refresh did.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What it was.
    pub action: Action,
    /// Why it was not, or not only, a matter of deltas.
    pub reason: Option<Reason>,
    /// Rows written to the stream table.
    pub counts: Counts,
    /// Change rows read from the sources.
    pub delta_rows: u64,
    /// Duration without the commit.
    pub duration_ms: f64,
    /// Why there is no state, though the plan has one: what an expression said of a row that the query does not reach.
    pub failed_apart: Option<String>,
}

/// Settings under which statements over deltas are planned. Random reads are nearly as cheap as sequential ones in a
/// cache, and delta statements are look-ups; compiling them never pays. Recomputations are planned as the query is.
pub(super) const PLANNER_SETTINGS: &[(&CStr, &CStr)] =
    &[(c"random_page_cost", c"1.1"), (c"jit", c"off")];

/// Makes the objects that a stream table needs: capture on its sources first, so that no change
/// after the first fill is lost, then its state tables. For a table in FULL mode there is nothing to
/// make.
pub fn prepare(pgt_id: i64) -> Result<()> {
    prepare_as_decided(pgt_id, None)
}

/// The same for the plan that was decided on, which is not made again.
pub fn prepare_as_decided(pgt_id: i64, draft: Option<Draft>) -> Result<()> {
    let table = load(pgt_id)?;
    replica_identity::ensure(table.relid)?;
    if table.refresh_mode == RefreshMode::Full || table.is_spread() {
        return Ok(());
    }
    let decided = draft
        .map(|draft| compiled::adopt(&table, draft))
        .transpose()?;
    let compiled = match decided.flatten() {
        Some(compiled) => compiled,
        None => supported(&table)?,
    };
    prepare_compiled(&table, &compiled)?;
    for missing in compiled.plan.missing_indexes() {
        if two_steps::is_image(&missing.relation) {
            let (image, column) = (missing.relation, missing.column);
            utility::run_as_extension_owner(&format!("CREATE INDEX ON {image} ({column})"))?;
            continue;
        }
        report::notice(
            &format!(
                "no index on {} leads with {}",
                missing.relation, missing.column
            ),
            Some(&format!(
                "Its {} look-ups scan the whole table.",
                missing.purpose
            )),
            Some(&format!(
                "CREATE INDEX ON {} ({}) makes refreshes cost in proportion to the change.",
                missing.relation, missing.column
            )),
        );
    }
    Ok(())
}

/// Makes them for this plan.
pub(super) fn prepare_compiled(table: &StreamTable, compiled: &Compiled) -> Result<()> {
    let sources: Vec<_> = compiled
        .tables
        .iter()
        .map(|source| (source.oid, source.attnums.as_slice()))
        .collect();
    // Stored first: triggers on what nothing reads are taken for left over when others are made.
    dependencies::sync(table.pgt_id, &sources, true)?;
    for source in &compiled.tables {
        if table.refresh_mode == RefreshMode::Immediate {
            immediate::prepare_source(source.oid)?;
        } else if source.is_stream_table {
            cdc::install_buffer_only(source.oid, &source.attnums)?;
        } else {
            cdc::install(source.oid, &source.attnums)?;
        }
    }
    // Nothing tells the coordinator of what changes on nodes.
    let is_polled = compiled.plan.is_polled() || table.is_in_two_steps();
    if table.is_polled != is_polled {
        catalog::set_polled(table.pgt_id, is_polled)?;
    }
    replica_identity::ensure(table.relid)?;
    layout::drop_key_index(table)?;
    layout::create_state_tables(table, compiled)
}

/// Refreshes a stream table at a snapshot taken now (in REPEATABLE READ: the transaction's).
///
/// # Errors
/// A serialization failure when the transaction's snapshot is older than the table's content.
pub fn run(pgt_id: i64, request: Request<'_>) -> Result<Outcome> {
    let started = Instant::now();
    let started_at = Moment::now();
    notes::refreshing();
    config::activate_canary();
    catalog::lock(pgt_id)?;
    let table = load(pgt_id)?;
    table.require_home()?;
    lock_itself(&table)?;
    if table.is_spread() {
        return spread::refresh(&table, request);
    }
    if table.is_in_two_steps() && request.group.is_none() {
        two_steps::pull(&table, request.force_full)?;
    }
    let plan = Choice::made_with_locks(&table, request)?;
    immediate::lock_followers(table.relid)?;

    // Computed from the start it would be of the latest snapshot, which other stream tables in this transaction do not show.
    if plan.starts_anew() && table.is_populated && snapshot::is_behind() {
        return Err(Error::SnapshotTooOld(table.plain_name()));
    }
    let mut snapshot = if plan.starts_anew() {
        ActiveSnapshot::push_latest()
    } else if request.group.is_some() {
        ActiveSnapshot::push_active()
    } else {
        ActiveSnapshot::push()
    };
    // What is captured from here on, by triggers of the stream table for instance, comes after what
    // the snapshot shows.
    let epoch = epoch::advance();
    let present = of_active_snapshot();
    if let Some(frontier) = &table.frontier
        && !frontier.is_visible_in(&present)
    {
        return Err(Error::SnapshotTooOld(table.plain_name()));
    }
    let files = match plan.compiled() {
        Some(compiled) => Files::of(pgt_id, compiled)?,
        None => Files::default(),
    };
    rewritten::require_none(&table, plan.compiled().map(Rc::as_ref))?;
    if let Some(compiled) = plan.compiled()
        && !plan.starts_anew()
    {
        immediate::require_latest(&table, compiled)?;
    }
    let memory = MemoryContext::new(c"pg_trickle refresh");
    let work =
        memory.within(|| Work::execute(&plan, &table, request, &files, &mut snapshot, &memory))?;
    if let Some(compiled) = plan.compiled()
        && work.writes
        && !compiled.partitions_are_current()?
    {
        return Err(Error::PartitionsChanged(table.plain_name()));
    }
    let mut outcome = Outcome {
        action: work.action,
        reason: work.reason,
        counts: work.counts,
        delta_rows: work.delta_rows,
        duration_ms: 0.0,
        failed_apart: work.failed_apart,
    };
    if work.writes {
        let frontier = present.with_own(top_xid(), epoch);
        let finished_at = cluster::now();
        outcome.duration_ms = elapsed_ms(started);
        if table.refresh_mode == RefreshMode::Immediate {
            immediate::take_turn(&table)?;
            catalog::note_change(pgt_id)?;
        }
        catalog::store_frontier(
            pgt_id,
            Some(&frontier),
            true,
            (plan.compiled().map(|c| c.fingerprint)).filter(|_| outcome.failed_apart.is_none()),
            &started_at,
        )?;
        files.store(pgt_id)?;
        catalog::insert_history(&HistoryRow {
            pgt_id,
            action: outcome.action,
            reason: outcome.reason.clone(),
            started_at: started_at.time,
            finished_at,
            duration_ms: outcome.duration_ms,
            rows_inserted: outcome.counts.inserted.cast_signed(),
            rows_updated: outcome.counts.updated.cast_signed(),
            rows_deleted: outcome.counts.deleted.cast_signed(),
            delta_rows: outcome.delta_rows.cast_signed(),
            error: None,
        })?;
        snapshot.show_own_writes();
        if let Some(compiled) = plan.compiled()
            && request.group.is_none()
        {
            for source in &compiled.tables {
                clean_up(source.oid)?;
            }
        }
    } else {
        REFRESHES_WITHOUT_DATA.count();
    }
    catalog::clear_failure(pgt_id)?;
    immediate::follow_all()?;
    outcome.duration_ms = elapsed_ms(started);
    Ok(outcome)
}

/// Takes the locks that a refresh takes before its snapshot, for a stream table that is refreshed at
/// the same snapshot as others, and tells what it will read.
pub fn lock_before_snapshot(pgt_id: i64, shared: &mut SharedDeltas) -> Result<()> {
    catalog::lock(pgt_id)?;
    let table = load(pgt_id)?;
    lock_itself(&table)?;
    if table.is_in_two_steps() {
        two_steps::pull(&table, false)?;
    }
    match table.refresh_mode {
        _ if table.is_spread() => return Ok(()),
        RefreshMode::Full => lock_query(&table)?,
        _ => match compiled::get(&table)? {
            compiled::Outcome::Compiled(compiled) => {
                compiled.lock_sources()?;
                if let Some(frontier) = &table.frontier {
                    for source in &compiled.tables {
                        shared.expect(source.oid, &source.attnums, frontier);
                    }
                }
            }
            compiled::Outcome::Unsupported(_) => lock_query(&table)?,
        },
    }
    immediate::lock_followers(table.relid)
}

/// Locks a stream table against being dropped or rewritten: before what it reads, as DROP TABLE does.
fn lock_itself(table: &StreamTable) -> Result<()> {
    let lockmode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // Closing it keeps the lock.
    let relation = Relation::try_open(table.relid, lockmode).ok_or(Error::Vanished)?;
    cdc::require_idle(&relation)
}

/// Locks the tables that the query reads, so that none is truncated or rewritten after the snapshot.
pub(super) fn lock_query(table: &StreamTable) -> Result<()> {
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    for source in parse::analyse_view(table.view, owner, &table.settings)?.sources {
        inherit::tree(source.oid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
    }
    Ok(())
}

/// Removes change rows that every consumer has seen, after these were refreshed in a group.
pub fn clean_up_after(refreshed: &[i64]) -> Result<()> {
    let mut sources = BTreeSet::new();
    for pgt_id in refreshed {
        let table = load(*pgt_id)?;
        if table.refresh_mode != RefreshMode::Full
            && !table.is_spread()
            && let compiled::Outcome::Compiled(compiled) = compiled::get(&table)?
        {
            sources.extend(compiled.tables.iter().map(|source| source.oid.to_u32()));
        }
    }
    sources
        .into_iter()
        .try_for_each(|source| clean_up(pg_sys::Oid::from(source)))
}

/// Removes change rows that every consumer has seen.
fn clean_up(source: pg_sys::Oid) -> Result<()> {
    if !cdc::wants_cleanup(source)? {
        return Ok(());
    }
    let mut frontiers = Vec::new();
    for consumer in catalog::consumers_of(source)? {
        match consumer.frontier {
            Some(frontier) => frontiers.push(frontier),
            // Not filled yet: it will start at a later snapshot and needs none of these rows,
            // but its frontier is not known, so nothing is removed under it.
            None => return Ok(()),
        }
    }
    cdc::cleanup(source, &frontiers)
}

fn load(pgt_id: i64) -> Result<StreamTable> {
    catalog::load(pgt_id)?.ok_or(Error::Vanished)
}

/// The plan of a stream table that must have one.
pub(super) fn supported(table: &StreamTable) -> Result<Rc<Compiled>> {
    match compiled::get(table)? {
        compiled::Outcome::Compiled(compiled) => Ok(compiled),
        compiled::Outcome::Unsupported(obstacles) => Err(Error::Unsupported(obstacles)),
    }
}

/// Milliseconds since then.
pub fn elapsed_ms(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

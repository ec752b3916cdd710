//! A whole refresh: locks, choice, snapshot, work, frontier, history.

use std::rc::Rc;

use pgtrickle_dvm::frontier::Frontier;

use crate::catalog::{self, Action, Reason, RefreshMode, StreamTable};
use crate::config;
use crate::error::{Error, Result};
use crate::frontier::{epoch, of_active_snapshot, top_xid};
use crate::pg::cluster;
use crate::pg::memory::MemoryContext;
use crate::pg::snapshot::{self, ActiveSnapshot};
use crate::shmem::counters::REFRESHES_WITHOUT_DATA;
use crate::shmem::notes;

use super::choice::Choice;
use super::cleanup::clean_up;
use super::files::Files;
use super::locks::lock_itself;
use super::outcome::{Outcome, Started};
use super::request::Request;
use super::work::Work;
use super::{immediate, rewritten, spread, two_steps};

/// Refreshes a stream table at a snapshot taken now (in REPEATABLE READ: the transaction's).
///
/// # Errors
/// A serialization failure when the transaction's snapshot is older than the table's content.
pub fn run(pgt_id: i64, request: Request<'_>) -> Result<Outcome> {
    let started = Started::now();
    notes::refreshing();
    config::activate_canary();
    catalog::lock(pgt_id)?;
    let table = catalog::existing(pgt_id)?;
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
    let mut snapshot = take_snapshot(&table, &plan, request)?;
    // Changes captured from here on, by triggers of the stream table for instance, come after
    // the snapshot.
    let epoch = epoch::advance();
    let present = of_active_snapshot();
    require_latest(&table, &plan, &present)?;
    let files = match plan.compiled() {
        Some(compiled) => Files::of(pgt_id, compiled)?,
        None => Files::default(),
    };
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
        let finished_at = cluster::now();
        outcome.duration_ms = started.elapsed_ms();
        let frontier = present.with_own(top_xid(), epoch);
        store(&table, &plan, &outcome, &frontier, &started)?;
        files.store(pgt_id)?;
        outcome.record(pgt_id, &started, finished_at)?;
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
    outcome.duration_ms = started.elapsed_ms();
    Ok(outcome)
}

/// The snapshot of the refresh: the latest one if all content is recomputed. A transaction with an older snapshot may
/// do that only to an empty stream table.
fn take_snapshot(
    table: &StreamTable,
    plan: &Choice,
    request: Request<'_>,
) -> Result<ActiveSnapshot> {
    if plan.starts_anew() && table.is_populated && snapshot::is_behind() {
        return Err(Error::SnapshotTooOld(table.plain_name()));
    }
    Ok(match request.group {
        _ if plan.starts_anew() => ActiveSnapshot::push_latest(),
        Some(_) => ActiveSnapshot::push_active(),
        None => ActiveSnapshot::push(),
    })
}

/// Refuses a snapshot that does not show the content of the stream table, a rewrite, or IMMEDIATE changes.
fn require_latest(table: &StreamTable, plan: &Choice, present: &Frontier) -> Result<()> {
    if let Some(frontier) = &table.frontier
        && !frontier.is_visible_in(present)
    {
        return Err(Error::SnapshotTooOld(table.plain_name()));
    }
    rewritten::require_none(table, plan.compiled().map(Rc::as_ref))?;
    match plan.compiled() {
        Some(compiled) if !plan.starts_anew() => immediate::require_latest(table, compiled),
        _ => Ok(()),
    }
}

/// Stores what the stream table contains now.
fn store(
    table: &StreamTable,
    plan: &Choice,
    outcome: &Outcome,
    frontier: &Frontier,
    started: &Started,
) -> Result<()> {
    if table.refresh_mode == RefreshMode::Immediate {
        immediate::take_turn(table)?;
        catalog::note_change(table.pgt_id)?;
    }
    let fingerprint = plan.compiled().map(|compiled| compiled.fingerprint);
    catalog::store_frontier(
        table.pgt_id,
        Some(frontier),
        true,
        fingerprint.filter(|_| outcome.failed_apart.is_none()),
        &started.at,
    )?;
    let is_anew = matches!(outcome.action, Action::Full | Action::Initialize);
    let rules = plan.compiled().and_then(|compiled| compiled.zone_rules());
    if is_anew && rules != table.zone_rules {
        catalog::set_zone_rules(table.pgt_id, rules)?;
    }
    if outcome.reason == Some(Reason::ClockWord) {
        // Its content changes with time until such text is gone; then its plan is prepared again.
        catalog::set_polled(table.pgt_id, true)?;
    }
    Ok(())
}

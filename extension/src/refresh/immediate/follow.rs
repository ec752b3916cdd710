//! Applying pending changes to stream tables, to each after its sources.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::followers::is_followed_by_row;
use super::graph::{self, Follower};
use super::rows::{Hold, lock_joined, require_latest};
use super::running;
use super::told::told_of;
use super::turn::take_turn;
use crate::catalog::{self, StreamTable};
use crate::config;
use crate::error::{Error, Result};
use crate::pg::local_settings::LocalSettings;
use crate::pg::lock;
use crate::pg::lock_mode::LockMode;
use crate::pg::memory::MemoryContext;
use crate::pg::relation::Relation;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::user::OwnerContext;
use crate::refresh::compiled::Compiled;
use crate::refresh::differential::{Differential, PLANNER_SETTINGS, apply_inputs};
use crate::refresh::files::Files;
use crate::refresh::full;
use crate::refresh::inputs::Inputs;
use crate::refresh::plan_cache::is_current;
use crate::refresh::prepare::supported;
use crate::refresh::rewritten;

/// Applies pending changes to each stream table whose sources have no statement in progress, and then the changes that
/// this causes through their readers and triggers.
pub fn follow_all() -> Result<()> {
    if running::waiting().is_empty() {
        return Ok(());
    }
    let Some(_following) = running::begin_following() else {
        return Ok(());
    };
    while let Some(follower) = next()? {
        pgrx::check_for_interrupts!();
        follow(&follower.table)?;
    }
    Ok(())
}

/// The next stream table that may follow: one that reads no other which may.
fn next() -> Result<Option<Rc<Follower>>> {
    let mut ready = Vec::new();
    for id in running::waiting() {
        match graph::follower(id)? {
            None => running::taken_in_by(id),
            Some(follower) => {
                if !follower.sources.iter().any(|s| running::is_running(*s)) {
                    ready.push(follower);
                }
            }
        }
    }
    if ready.len() < 2 {
        return Ok(ready.pop());
    }
    let ids: BTreeSet<i64> = ready.iter().map(|follower| follower.table.pgt_id).collect();
    let first = ready.into_iter().find(|f| f.upstream.is_disjoint(&ids));
    match first {
        Some(follower) => Ok(Some(follower)),
        None => Err(Error::Internal("stream tables read each other".into())),
    }
}

/// Brings one stream table up to date. Errors name it, since the user's statement does not.
fn follow(table: &StreamTable) -> Result<()> {
    told_of(table, || follow_as_owner(table))
}

/// Brings one stream table up to date, as its owner. The caller's transaction holds its lock.
fn follow_as_owner(table: &StreamTable) -> Result<()> {
    config::activate_canary();
    let Some(itself) = Relation::try_open(table.relid, LockMode::AccessShare) else {
        // Dropped since the statement began.
        running::taken_in_by(table.pgt_id);
        return Ok(());
    };
    let _owner = OwnerContext::enter(itself.owner(), &table.settings)?;
    drop(itself);
    let compiled = with_locks(table)?;
    if table.defining_query_hash != Some(compiled.fingerprint) {
        if catalog::is_current()? {
            return Err(Error::DefinitionChanged(table.plain_name()));
        }
        running::taken_in_by(table.pgt_id);
        return wait_for_update(table);
    }
    let memory = MemoryContext::new(c"pg_trickle immediate");
    memory.within(|| take_in(table, &compiled, &memory))
}

/// The plan, once all that it reads is locked: its statements name tables and columns, and who gives them other names or
/// another schema may hold one that this session does not write.
fn with_locks(table: &StreamTable) -> Result<Rc<Compiled>> {
    loop {
        let compiled = supported(table)?;
        for source in &compiled.tables {
            lock::relation(source.oid, LockMode::AccessShare);
        }
        if is_current(table, &compiled)? {
            return Ok(compiled);
        }
    }
}

/// Leaves a stream table behind: the plan of this version is another one, and no refresh may make it ready for that
/// before the extension is updated, which recomputes it. Until then no version considers it current.
pub(super) fn wait_for_update(table: &StreamTable) -> Result<()> {
    if table.defining_query_hash.is_some() {
        catalog::lock(table.pgt_id)?;
        catalog::forget_plan(table.pgt_id)?;
    }
    Ok(())
}

fn take_in(table: &StreamTable, compiled: &Rc<Compiled>, memory: &MemoryContext) -> Result<()> {
    let inputs = Inputs::waiting_for(table.pgt_id, compiled, memory.as_ptr())?;
    running::taken_in_by(table.pgt_id);
    if inputs.is_empty() && inputs.must_recompute.is_none() {
        return Ok(());
    }
    if inputs.must_recompute.is_some() {
        return recompute(table, compiled, memory);
    }
    let hold = if is_followed_by_row(table, compiled) {
        lock_joined(table, compiled, &inputs);
        Hold::Rows(table)
    } else {
        // Held already, unless the plan has changed since the statement began.
        catalog::lock(table.pgt_id)?;
        Hold::Table
    };
    let mut snapshot = ActiveSnapshot::push();
    rewritten::require_none(table, Some(compiled))?;
    if matches!(hold, Hold::Table) {
        take_turn(table)?;
    }
    let done = {
        let _planned = LocalSettings::enter(PLANNER_SETTINGS);
        apply_inputs(compiled, inputs, hold, &mut snapshot, memory)?
    };
    match done {
        Differential::NoData | Differential::Applied { .. } => Ok(()),
        Differential::MustRecompute(_) => {
            drop(snapshot);
            recompute(table, compiled, memory)
        }
    }
}

fn recompute(table: &StreamTable, compiled: &Rc<Compiled>, memory: &MemoryContext) -> Result<()> {
    catalog::lock(table.pgt_id)?;
    let mut snapshot = ActiveSnapshot::push();
    rewritten::require_none(table, Some(compiled))?;
    require_latest(table, compiled)?;
    take_turn(table)?;
    full::recompute(table, Some(compiled), false, &mut snapshot, memory)?;
    // TRUNCATE has given the source another file.
    Files::of(table.pgt_id, compiled)?.store(table.pgt_id)
}

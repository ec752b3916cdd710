//! Carrying out the choice of a refresh, before recording it.

use std::cell::LazyCell;

use pgtrickle_dvm::frontier::Frontier;

use crate::catalog::{self, Action, PastRefresh, Reason, RefreshMode, RequestedMode, StreamTable};
use crate::cdc;
use crate::error::{Error, Result};
use crate::frontier::of_active_snapshot;
use crate::pg::local_settings::LocalSettings;
use crate::pg::lock_mode::LockMode;
use crate::pg::memory::MemoryContext;
use crate::pg::relation::Relation;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::subtransaction::{self, Attempt};
use crate::pg::user::OwnerContext;

use super::choice::Choice;
use super::compiled::Compiled;
use super::cost::{self, Sample, Way};
use super::differential::{Differential, From, PLANNER_SETTINGS, execute_differential_refresh};
use super::files::Files;
use super::full;
use super::keyed_table::Counts;
use super::layout;
use super::prior;
use super::request::Request;

/// What was done.
pub struct Work {
    /// What the history calls it.
    pub action: Action,
    /// Why it was not, or not only, a matter of deltas.
    pub reason: Option<Reason>,
    /// Rows written to the stream table.
    pub counts: Counts,
    /// Change rows read, or, of those that a recomputation for cost has not read, about how many there were.
    pub delta_rows: u64,
    /// Whether there is anything to record.
    pub writes: bool,
    /// Why state could not be computed where the query has a result: what an expression said of a row that the query
    /// does not reach.
    pub failed_apart: Option<String>,
}

impl Work {
    const NONE: Work = Work {
        action: Action::NoData,
        reason: None,
        counts: Counts::NONE,
        delta_rows: 0,
        writes: false,
        failed_apart: None,
    };

    fn recomputed(action: Action, reason: Option<Reason>, counts: Counts) -> Self {
        Work {
            action,
            reason,
            counts,
            delta_rows: 0,
            writes: true,
            failed_apart: None,
        }
    }

    /// Computes everything again from the plan. Where an expression fails for rows that the query does not reach, there
    /// is no state, and the content is that of the query: the next refresh tries again. So it is in AUTO where text says
    /// what the clock decides.
    fn from_plan(
        table: &StreamTable,
        compiled: &Compiled,
        (action, reason): (Action, Option<Reason>),
        snapshot: &mut ActiveSnapshot,
        memory: &MemoryContext,
    ) -> Result<Self> {
        let refills = reason == Some(Reason::Cost);
        if !compiled.computes_apart || table.refresh_mode == RefreshMode::Immediate {
            let counts = full::recompute(table, Some(compiled), refills, snapshot, memory)?;
            return Ok(Work::recomputed(action, reason, counts));
        }
        let run = || full::recompute(table, Some(compiled), refills, snapshot, memory);
        let failure = match subtransaction::attempt(run)? {
            Attempt::Done(counts) => return Ok(Work::recomputed(action, reason, counts)),
            Attempt::DataException(failure) => failure,
        };
        let is_clock_word = failure.is_clock_word();
        if is_clock_word && table.requested_mode != RequestedMode::Auto {
            failure.throw();
        }
        let counts = full::recompute(table, None, false, snapshot, memory)?;
        let reason = match is_clock_word {
            true => Reason::ClockWord,
            false => Reason::DataException,
        };
        Ok(Work {
            failed_apart: Some(failure.message()),
            ..Work::recomputed(action, Some(reason), counts)
        })
    }

    /// Does it, as the owner of the stream table.
    pub fn execute(
        choice: &Choice,
        table: &StreamTable,
        request: Request<'_>,
        files: &Files,
        snapshot: &mut ActiveSnapshot,
        memory: &MemoryContext,
    ) -> Result<Self> {
        let owner = Relation::open(table.relid, LockMode::AccessShare)?.owner();
        let _owner = OwnerContext::enter(owner, &table.settings)?;
        match choice {
            Choice::Current => Ok(Work::NONE),
            Choice::Query { reason } => {
                let counts = full::recompute(table, None, false, snapshot, memory)?;
                let action = match table.is_populated {
                    true => Action::Full,
                    false => Action::Initialize,
                };
                Ok(Work::recomputed(action, reason.clone(), counts))
            }
            Choice::Rebuild { compiled, cause } => {
                let what = (cause.action(), cause.reason());
                let done = Self::from_plan(table, compiled, what, snapshot, memory)?;
                if done.failed_apart.is_none() {
                    layout::create_indexes(table, compiled)?;
                }
                Ok(done)
            }
            Choice::Delta {
                compiled,
                frontier,
                may_recompute,
            } => {
                if *may_recompute
                    && let Some(rows) = too_many_rows(table, request, compiled, frontier)?
                {
                    let what = (Action::Full, Some(Reason::Cost));
                    let done = Self::from_plan(table, compiled, what, snapshot, memory)?;
                    return Ok(Work {
                        delta_rows: rows,
                        ..done
                    });
                }
                let from = From {
                    frontier,
                    has_other_files: files.differ(),
                };
                Self::from_deltas(table, request, compiled, from, snapshot, memory)
            }
        }
    }

    fn from_deltas(
        table: &StreamTable,
        request: Request<'_>,
        compiled: &Compiled,
        from: From<'_>,
        snapshot: &mut ActiveSnapshot,
        memory: &MemoryContext,
    ) -> Result<Self> {
        let may_apply = |rows| check_fuse(table, request, rows);
        let shared = request.group;
        let done = {
            let _planned = LocalSettings::enter(PLANNER_SETTINGS);
            execute_differential_refresh(compiled, from, shared, &may_apply, snapshot, memory)?
        };
        match done {
            Differential::NoData => Ok(Work::NONE),
            Differential::Applied {
                counts,
                delta_rows,
                reason,
            } => Ok(Work {
                action: Action::Differential,
                reason,
                counts,
                delta_rows,
                writes: true,
                failed_apart: None,
            }),
            Differential::MustRecompute(reason) => {
                let what = (Action::Full, Some(reason));
                Self::from_plan(table, compiled, what, snapshot, memory)
            }
        }
    }
}

/// Fails if so many change rows are more than the refresh may apply.
fn check_fuse(table: &StreamTable, request: Request<'_>, rows: u64) -> Result<()> {
    match request.fuse_rows {
        Some(ceiling) if rows > ceiling => Err(Error::FuseBlown {
            name: table.plain_name(),
            rows,
            ceiling,
        }),
        _ => Ok(()),
    }
}

/// About how many change rows there are, if a recomputation costs less than reading and applying them. Where a fuse
/// limits them they are counted.
fn too_many_rows(
    table: &StreamTable,
    request: Request<'_>,
    compiled: &Compiled,
    frontier: &Frontier,
) -> Result<Option<u64>> {
    let mut rows = 0;
    let present = LazyCell::new(of_active_snapshot as fn() -> Frontier);
    for source in &compiled.tables {
        let exactly = request.fuse_rows.is_some();
        rows += cdc::pending_rows(source.oid, frontier, &present, exactly)?;
    }
    if cost::is_small(rows) {
        return Ok(None);
    }
    let samples: Vec<Sample> = catalog::past_refreshes(table.pgt_id)?
        .iter()
        .filter_map(sample)
        .collect();
    match cost::choose(rows, &samples, &prior::of(compiled)?) {
        Way::Deltas => Ok(None),
        Way::Recomputation => {
            check_fuse(table, request, rows)?;
            Ok(Some(rows))
        }
    }
}

/// What a past refresh shows about the cost of a choice.
fn sample(past: &PastRefresh) -> Option<Sample> {
    let action = |action: Action| past.action == action.name();
    let reason = |reason: &Reason| past.reason.as_deref() == Some(reason.name());
    let way = if action(Action::Differential) && past.reason.is_none() {
        Way::Deltas
    } else if action(Action::Initialize)
        || action(Action::Full)
            && ![Reason::Truncate, Reason::DataException, Reason::ClockWord]
                .iter()
                .any(reason)
    {
        Way::Recomputation
    } else {
        return None;
    };
    Some(Sample {
        way,
        rows: past.delta_rows,
        ms: past.duration_ms,
    })
}

//! How a refresh computes: from deltas, by recomputing the plan, or by running the query.

use std::rc::Rc;

use pgtrickle_dvm::frontier::Frontier;

use crate::catalog::{Action, Reason, RefreshMode, RequestedMode, Status, StreamTable};
use crate::error::{Error, Result};

use super::compiled::Compiled;
use super::files::Files;
use super::locks::lock_query;
use super::plan_cache;
use super::prepare::prepare_compiled;
use super::request::Request;

/// How the refresh computes.
pub enum Choice {
    /// From the query, because the mode is FULL or the query cannot be maintained.
    Query {
        /// The construct that prevents it.
        reason: Option<Reason>,
    },
    /// Everything is rebuilt from the plan.
    Rebuild {
        /// The plan.
        compiled: Rc<Compiled>,
        /// Why.
        cause: Cause,
    },
    /// Nothing: an IMMEDIATE stream table is up to date.
    Current,
    /// From deltas.
    Delta {
        /// The plan.
        compiled: Rc<Compiled>,
        /// What the stream table contains.
        frontier: Frontier,
        /// Whether a recomputation is chosen where it costs less.
        may_recompute: bool,
    },
}

/// Why everything is recomputed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The stream table is filled for the first time.
    First,
    /// It was filled before.
    Again(Reason),
}

impl Cause {
    /// What the history calls it.
    pub fn action(&self) -> Action {
        match self {
            Cause::First => Action::Initialize,
            Cause::Again(_) => Action::Full,
        }
    }

    /// Why it is done again.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Cause::First => None,
            Cause::Again(reason) => Some(reason.clone()),
        }
    }
}

impl Choice {
    /// Decides and locks the sources; decides again if the basis of the decision changed while we waited for the locks,
    /// since a plan names tables and columns.
    pub fn made_with_locks(table: &StreamTable, request: Request<'_>) -> Result<Self> {
        let mut is_prepared = false;
        loop {
            let choice = Self::of(table, request, is_prepared)?;
            // The state made for this plan is empty, so the next plan cannot apply deltas to it.
            is_prepared |= matches!(
                choice,
                Choice::Rebuild {
                    cause: Cause::Again(Reason::DefinitionChanged),
                    ..
                }
            );
            match &choice {
                Choice::Current => return Ok(choice),
                Choice::Query { .. } => {
                    lock_query(table)?;
                    return Ok(choice);
                }
                Choice::Rebuild { compiled, .. } | Choice::Delta { compiled, .. } => {
                    compiled.lock_sources()?;
                    if plan_cache::is_current(table, compiled)? {
                        return Ok(choice);
                    }
                }
            }
        }
    }

    /// Decides, and prepares the state tables for the plan: before the snapshot,
    /// since installing capture must precede it.
    /// `is_prepared` says that they were, for another one.
    fn of(table: &StreamTable, request: Request<'_>, is_prepared: bool) -> Result<Self> {
        if table.refresh_mode == RefreshMode::Full {
            return Ok(Choice::Query {
                reason: table.mode_code.clone().map(Reason::Construct),
            });
        }
        let compiled = match plan_cache::get(table)? {
            plan_cache::Outcome::Compiled(compiled) => compiled,
            plan_cache::Outcome::Unsupported(obstacles)
                if table.refresh_mode == RefreshMode::Immediate =>
            {
                return Err(Error::CannotFollow(table.plain_name(), obstacles));
            }
            plan_cache::Outcome::Unsupported(obstacles) => {
                let first = obstacles.into_iter().next();
                return Ok(Choice::Query {
                    reason: first.map(|obstacle| Reason::Construct(obstacle.code)),
                });
            }
        };
        let same_plan = table.defining_query_hash == Some(compiled.fingerprint);
        let cause = match &table.frontier {
            Some(frontier) if table.is_populated && same_plan && !is_prepared => {
                if request.force_full {
                    Cause::Again(Reason::Forced)
                } else if table.refresh_mode == RefreshMode::Immediate {
                    match table.status {
                        Status::Active => {
                            compiled.lock_sources()?;
                            if !Files::of(table.pgt_id, &compiled)?.differ() {
                                return Ok(Choice::Current);
                            }
                            Cause::Again(Reason::Rewritten)
                        }
                        // It was not updated while it was suspended.
                        Status::Suspended => Cause::Again(Reason::Suspended),
                    }
                } else {
                    return Ok(Choice::Delta {
                        compiled,
                        frontier: frontier.clone(),
                        may_recompute: table.requested_mode == RequestedMode::Auto,
                    });
                }
            }
            Some(_) if table.is_populated => {
                prepare_compiled(table, &compiled)?;
                Cause::Again(Reason::DefinitionChanged)
            }
            _ => Cause::First,
        };
        Ok(Choice::Rebuild { compiled, cause })
    }

    /// Whether this refresh fills the stream table regardless of the sources' buffers.
    pub fn starts_anew(&self) -> bool {
        match self {
            Choice::Rebuild { cause, .. } => match cause {
                Cause::First | Cause::Again(Reason::DefinitionChanged) => true,
                Cause::Again(_) => false,
            },
            Choice::Query { .. } | Choice::Current | Choice::Delta { .. } => false,
        }
    }

    /// The plan, if there is one.
    pub fn compiled(&self) -> Option<&Rc<Compiled>> {
        match self {
            Choice::Query { .. } | Choice::Current => None,
            Choice::Rebuild { compiled, .. } | Choice::Delta { compiled, .. } => Some(compiled),
        }
    }
}

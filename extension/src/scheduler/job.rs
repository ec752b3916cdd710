//! A job: stream tables that belong together or read the same sources, refreshed in one transaction at one
//! snapshot, each in a subtransaction, so that a failure stops only what depends on it. What they read of a source
//! is read once.
//!
//! One that is locked by a session does not hold up a group: it is left for a job of its own.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::datum::TimestampWithTimeZone;
use pgtrickle_dvm::schedule::backoff;

use crate::catalog::{self, Action, FailureRow, HistoryRow, Status, StreamTable};
use crate::cdc::{self, SharedDeltas};
use crate::config;
use crate::error::{Error, Result};
use crate::pg::background::{self, is_terminating};
use crate::pg::cluster;
use crate::pg::failure::Failure;
use crate::pg::lock::Patience;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::subtransaction::contain;
use crate::refresh::{self, Request};
use crate::shmem::counters::{FUSES_BLOWN, RETRIES};
use crate::shmem::notes;
use crate::shmem::worker::{Outcome, Worker};

/// A group is left as it is when so many of its stream tables are locked: perhaps what they read is.
const BLOCKED_MAX: usize = 3;

/// How often a job is retried after a serialization failure or a deadlock.
const TRIES: usize = 5;

type Contained<T> = std::result::Result<T, Failure>;

/// Refreshes the tables of the worker's job, and leaves the outcomes with the worker.
pub fn run(worker: &Worker) {
    let job = worker.job();
    let done = match refresh_together(worker, &job) {
        Ok(done) => done,
        Err(_) if is_terminating() => vec![Done::NOT_TRIED; job.len()],
        // The transaction as a whole failed: at its commit, for instance. One by one, the culprit
        // is found and the others get done.
        Err(failure) => refresh_one_by_one(worker, &job, &failure),
    };
    worker.current.store(0, Ordering::SeqCst);
    for (index, done) in done.into_iter().enumerate() {
        worker.set_outcome(index, done.outcome, done.took);
    }
}

/// What came of a table, and how long that took.
#[derive(Debug, Clone, Copy)]
struct Done {
    outcome: Outcome,
    took: Duration,
}

impl Done {
    const NOT_TRIED: Done = Done {
        outcome: Outcome::None,
        took: Duration::ZERO,
    };
}

fn refresh_together(worker: &Worker, job: &[i64]) -> Contained<Vec<Done>> {
    let mut tries = 0;
    loop {
        tries += 1;
        let outcome = background::transaction(|| in_one_transaction(worker, job, tries < TRIES));
        match outcome {
            Ok(None) if is_terminating() => return Ok(vec![Done::NOT_TRIED; job.len()]),
            // Another session holds a lock and may want one of ours, which the rollback released: it continues, and we retry.
            Ok(None) => tries -= 1,
            Ok(Some(done)) => return Ok(done),
            Err(_) if worker.gives_way.load(Ordering::SeqCst) => {
                return Ok(vec![Done::NOT_TRIED; job.len()]);
            }
            Err(failure) if failure.is_transient() && tries < TRIES && !is_terminating() => {
                RETRIES.count();
            }
            Err(failure) => return Err(failure),
        }
    }
}

fn refresh_one_by_one(worker: &Worker, job: &[i64], failure: &Failure) -> Vec<Done> {
    let mut all: Vec<Done> = Vec::with_capacity(job.len());
    for id in job {
        if is_terminating() {
            all.push(Done::NOT_TRIED);
            continue;
        }
        let result = if job.len() == 1 {
            Err(failure.clone())
        } else {
            let failed: BTreeSet<i64> = job
                .iter()
                .zip(&all)
                .filter(|(_, done)| matches!(done.outcome, Outcome::Failed | Outcome::Waits))
                .map(|(id, _)| *id)
                .collect();
            background::transaction(|| reads_one_of(*id, &failed).map_err(Failure::from)).and_then(
                |waits| match waits {
                    true => Ok(vec![Done {
                        outcome: Outcome::Waits,
                        ..Done::NOT_TRIED
                    }]),
                    false => refresh_together(worker, &[*id]),
                },
            )
        };
        all.push(match result {
            Ok(single) => single.first().copied().unwrap_or(Done::NOT_TRIED),
            Err(_) if is_terminating() => Done::NOT_TRIED,
            Err(failure) => {
                let noted =
                    background::transaction(|| note_failure(*id, &failure, cluster::now(), 0.0));
                if let Err(second) = noted {
                    pgrx::warning!(
                        "pg_trickle: a failed refresh could not be recorded: {}",
                        second.message
                    );
                }
                Done {
                    outcome: Outcome::Failed,
                    ..Done::NOT_TRIED
                }
            }
        });
    }
    all
}

/// Locks first, then one snapshot, then table by table. `None` if a lock was not to be had in time, and nothing
/// was done. With `may_retry`, a transient failure fails the whole: only a new snapshot helps.
fn in_one_transaction(
    worker: &Worker,
    job: &[i64],
    may_retry: bool,
) -> Contained<Option<Vec<Done>>> {
    let mut members = Vec::with_capacity(job.len());
    for id in job {
        members.push(Member::new(*id)?);
    }
    background::show(Some(&activity(&members)));
    let mut by_id: Vec<&mut Member> = members.iter_mut().collect();
    by_id.sort_by_key(|member| member.id);
    let is_group = worker.is_group.load(Ordering::SeqCst);
    let mut shared = SharedDeltas::default();
    let patience = match is_group {
        true => Patience::short()?,
        false => Patience::limited()?,
    };
    let mut blocked = 0;
    for member in by_id {
        if blocked == BLOCKED_MAX {
            return Ok(Some(members.iter().map(Member::not_tried).collect()));
        }
        if !member.lock(worker, &mut shared, may_retry)? {
            if !is_group {
                return Ok(None);
            }
            member.outcome = Outcome::Blocked;
            blocked += 1;
        }
    }
    drop(patience);
    let snapshot = ActiveSnapshot::push_latest();
    let did_not = |member: &&Member| matches!(member.outcome, Outcome::Failed | Outcome::Blocked);
    let mut failed: BTreeSet<i64> = members.iter().filter(did_not).map(|m| m.id).collect();
    for member in &mut members {
        if member.outcome != Outcome::None {
            continue;
        }
        if is_terminating() {
            return Err(cancelled());
        }
        if reads_one_of(member.id, &failed)? {
            member.outcome = Outcome::Waits;
        } else {
            worker.current.store(member.id, Ordering::SeqCst);
            member.refresh(worker, &shared, may_retry)?;
        }
        if matches!(member.outcome, Outcome::Failed | Outcome::Waits) {
            failed.insert(member.id);
            shared.forget();
        }
    }
    drop(snapshot);
    drop(shared);
    let is_refreshed = |member: &&Member| member.outcome == Outcome::Refreshed;
    let refreshed: Vec<i64> = members.iter().filter(is_refreshed).map(|m| m.id).collect();
    refresh::clean_up_after(&refreshed)?;
    for member in &members {
        // Readers that follow are in this job: it is for them that the buffer was filled. The others are told by
        // the outcome.
        if let Some(table) = &member.table {
            notes::clean(table.relid);
            if let Some(buffer) = cdc::buffer_of(table.relid)? {
                notes::clean(buffer);
            }
        }
    }
    let done = members.iter().map(|member| Done {
        outcome: member.outcome,
        took: member.took,
    });
    Ok(Some(done.collect()))
}

/// What `pg_stat_activity` shows.
fn activity(members: &[Member]) -> String {
    let tables = members.iter().filter_map(|member| member.table.as_ref());
    let names: Vec<String> = tables.map(StreamTable::plain_name).collect();
    format!("refresh of {}", names.join(", "))
}

fn cancelled() -> Failure {
    Failure::of(&Error::Stopping)
}

/// Whether a stream table reads one of these, directly.
fn reads_one_of(id: i64, others: &BTreeSet<i64>) -> Result<bool> {
    if others.is_empty() {
        return Ok(false);
    }
    for dependency in catalog::dependencies(id)? {
        if let Some(table) = catalog::load_by_relid(dependency.source)?
            && others.contains(&table.pgt_id)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A stream table of the job.
struct Member {
    id: i64,
    table: Option<StreamTable>,
    outcome: Outcome,
    took: Duration,
}

impl Member {
    /// What the catalog says now; it may have been dropped or suspended since the job was made.
    fn new(id: i64) -> Result<Self> {
        let table = catalog::load(id)?
            .filter(|table| table.status == Status::Active && table.require_home().is_ok());
        let outcome = if table.is_some() {
            Outcome::None
        } else {
            Outcome::Gone
        };
        Ok(Member {
            id,
            table,
            outcome,
            took: Duration::ZERO,
        })
    }

    /// What is said of it when the job as a whole comes to nothing.
    fn not_tried(&self) -> Done {
        match self.outcome {
            Outcome::Blocked => Done {
                outcome: Outcome::Blocked,
                ..Done::NOT_TRIED
            },
            _ => Done::NOT_TRIED,
        }
    }

    /// False if that takes too long.
    fn lock(
        &mut self,
        worker: &Worker,
        shared: &mut SharedDeltas,
        may_retry: bool,
    ) -> Contained<bool> {
        if self.table.is_some() {
            let started_at = cluster::now();
            let locked = contain(|| refresh::lock_before_snapshot(self.id, shared));
            if locked.as_ref().is_err_and(Failure::is_lock_timeout) {
                return Ok(false);
            }
            let locked = locked.map(|()| Outcome::None);
            self.settle(worker, locked, may_retry, started_at, 0.0)?;
        }
        Ok(true)
    }

    fn refresh(
        &mut self,
        worker: &Worker,
        shared: &SharedDeltas,
        may_retry: bool,
    ) -> Contained<()> {
        let (started_at, started) = (cluster::now(), Instant::now());
        let failure = catalog::failure(self.id)?;
        let request = Request {
            group: Some(shared),
            fuse_rows: match failure.is_some_and(|failure| failure.is_approved) {
                true => None,
                false => config::fuse_ceiling(),
            },
            ..Default::default()
        };
        let done = contain(|| refresh::run(self.id, request));
        self.took = started.elapsed();
        let outcome = done.map(|outcome| match outcome.action {
            Action::NoData => Outcome::NoData,
            Action::Differential | Action::Full | Action::Initialize | Action::None => {
                Outcome::Refreshed
            }
        });
        self.settle(
            worker,
            outcome,
            may_retry,
            started_at,
            refresh::elapsed_ms(started),
        )
    }

    /// Takes down what came of it. What was cancelled because the server stops or a session waits, and
    /// what only a new snapshot can mend, ends the transaction.
    fn settle(
        &mut self,
        worker: &Worker,
        result: Contained<Outcome>,
        may_retry: bool,
        started_at: TimestampWithTimeZone,
        duration_ms: f64,
    ) -> Contained<()> {
        self.outcome = match result {
            Ok(outcome) => outcome,
            Err(failure)
                if is_terminating()
                    || worker.gives_way.load(Ordering::SeqCst)
                    || (failure.is_transient() && may_retry) =>
            {
                return Err(failure);
            }
            Err(failure) => match catalog::load(self.id)? {
                None => Outcome::Gone,
                Some(_) => {
                    note_failure(self.id, &failure, started_at, duration_ms)?;
                    Outcome::Failed
                }
            },
        };
        Ok(())
    }
}

/// Records a failed refresh: history, when it is tried again, and whether it is suspended now.
fn note_failure(
    id: i64,
    failure: &Failure,
    started_at: TimestampWithTimeZone,
    duration_ms: f64,
) -> Contained<()> {
    let Some(table) = catalog::load(id)? else {
        return Ok(());
    };
    let is_fuse = failure.is_fuse;
    let before = catalog::failure(id)?;
    let errors = before
        .map_or(0, |row| row.consecutive_errors)
        .saturating_add(1);
    let wait = backoff(errors.cast_unsigned(), jitter(id, errors));
    let now = cluster::now();
    let wait_us = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    let retry_at = cluster::time_at(cluster::microseconds(now).saturating_add(wait_us));
    catalog::set_failure(&FailureRow {
        pgt_id: id,
        consecutive_errors: errors,
        condition: failure.label(),
        message: failure.message.clone(),
        failed_at: now,
        retry_at: retry_at.unwrap_or(now),
        is_fuse,
        is_approved: false,
    })?;
    catalog::insert_history(&HistoryRow {
        pgt_id: id,
        action: Action::None,
        reason: None,
        started_at,
        finished_at: now,
        duration_ms,
        rows_inserted: 0,
        rows_updated: 0,
        rows_deleted: 0,
        delta_rows: 0,
        error: Some(failure.label()),
    })?;
    let is_suspended = is_fuse || errors >= config::max_consecutive_errors();
    if is_suspended {
        catalog::set_status(id, Status::Suspended)?;
    }
    if is_fuse {
        FUSES_BLOWN.count();
    }
    pgrx::warning!(
        "pg_trickle: refresh of stream table \"{}\" failed{}: {}",
        table.plain_name(),
        if is_suspended {
            " and is suspended"
        } else {
            ""
        },
        failure.message
    );
    Ok(())
}

/// Between 0 and 1; spreads retries of tables that failed together.
fn jitter(id: i64, errors: i32) -> f64 {
    let mixed = (id.cast_unsigned() ^ (u64::from(errors.cast_unsigned()) << 32))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as f64 / (1_u64 << 24) as f64
}

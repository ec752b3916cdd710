//! A job: stream tables of an island or with common sources, refreshed in one transaction at one
//! snapshot, each in a subtransaction, so a failure stops only its readers. The changes of a source
//! are read once.
//!
//! If a session has locked a stream table, the job soon leaves it and its readers to a later job.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::catalog::{self, StreamTable};
use crate::cdc::{self, SharedDeltas};
use crate::error::{Error, Result};
use crate::pg::background::{self, is_terminating};
use crate::pg::cluster;
use crate::pg::failure::Failure;
use crate::pg::lock::Patience;
use crate::pg::snapshot::ActiveSnapshot;
use crate::refresh;
use crate::shmem::counters::RETRIES;
use crate::shmem::notes;
use crate::shmem::worker::{Outcome, Worker};

use super::member::{Contained, Done, Member, note_failure};

/// A job is left as it is when so many of its stream tables are locked: perhaps what they read is.
const BLOCKED_MAX: usize = 3;

/// How often a job is retried after a serialization failure or a deadlock.
const TRIES: usize = 5;

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

/// What came of the tables of a job, and when the last of them was done.
struct Worked {
    done: Vec<Done>,
    at: Instant,
}

impl Worked {
    fn by(members: &[Member], at: Instant) -> Self {
        let done = members.iter().map(|member| Done {
            outcome: member.outcome,
            took: member.took,
        });
        let done = done.collect();
        Worked { done, at }
    }

    /// The transaction has committed: what that took is part of what each refresh costs.
    fn settled(mut self) -> Vec<Done> {
        let is_refreshed = |done: &&mut Done| done.outcome == Outcome::Refreshed;
        let count = self.done.iter_mut().filter(is_refreshed).count();
        let each = self.at.elapsed() / u32::try_from(count).unwrap_or(u32::MAX).max(1);
        for done in self.done.iter_mut().filter(is_refreshed) {
            done.took += each;
        }
        self.done
    }
}

fn refresh_together(worker: &Worker, job: &[i64]) -> Contained<Vec<Done>> {
    let mut tries = 0;
    loop {
        tries += 1;
        let outcome = background::transaction(|| in_one_transaction(worker, job, tries < TRIES));
        match outcome {
            Ok(worked) => return Ok(worked.settled()),
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

/// Locks first, then one snapshot, then table by table, but for those of which a lock was not to be had in time.
/// With `may_retry`, a transient failure fails the whole: only a new snapshot helps.
fn in_one_transaction(worker: &Worker, job: &[i64], may_retry: bool) -> Contained<Worked> {
    let mut members = Vec::with_capacity(job.len());
    for id in job {
        members.push(Member::new(*id)?);
    }
    background::show(Some(&activity(&members)));
    let mut shared = SharedDeltas::default();
    if !lock_all(worker, &mut members, &mut shared, may_retry)? {
        let done = members.iter().map(Member::not_tried).collect();
        let at = Instant::now();
        return Ok(Worked { done, at });
    }
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
    let at = Instant::now();
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
    Ok(Worked::by(&members, at))
}

/// Locks the members in the order of their ids, and notes which are blocked. False if they are too many.
fn lock_all(
    worker: &Worker,
    members: &mut [Member],
    shared: &mut SharedDeltas,
    may_retry: bool,
) -> Contained<bool> {
    let mut by_id: Vec<&mut Member> = members.iter_mut().collect();
    by_id.sort_by_key(|member| member.id);
    let mut patience = match worker.is_hasty.load(Ordering::SeqCst) {
        true => Patience::short()?,
        false => Patience::limited()?,
    };
    let mut blocked = 0;
    for member in by_id {
        if blocked == BLOCKED_MAX {
            return Ok(false);
        }
        if member.lock(worker, shared, may_retry)? {
            continue;
        }
        member.outcome = Outcome::Blocked;
        blocked += 1;
        // The session that holds this lock may want one of ours: it must not find us waiting for it again when it
        // looks for a deadlock.
        drop(patience);
        patience = Patience::short()?;
    }
    drop(patience);
    Ok(true)
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

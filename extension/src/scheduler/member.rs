//! A stream table of a job: its outcome, and the record of a failure.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::datum::TimestampWithTimeZone;
use pgtrickle_dvm::schedule::backoff;

use crate::catalog::{self, Action, FailureRow, HistoryRow, Status, StreamTable};
use crate::cdc::SharedDeltas;
use crate::config;
use crate::error::Result;
use crate::pg::background::is_terminating;
use crate::pg::cluster;
use crate::pg::failure::Failure;
use crate::pg::subtransaction::contain;
use crate::refresh::{self, Request};
use crate::shmem::counters::FUSES_BLOWN;
use crate::shmem::worker::{Outcome, Worker};

/// What may fail without the transaction failing.
pub type Contained<T> = std::result::Result<T, Failure>;

/// What came of a table, and how long that took.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// The outcome.
    pub outcome: Outcome,
    /// How long.
    pub took: Duration,
}

impl Done {
    /// Nothing has been tried.
    pub const NOT_TRIED: Done = Done {
        outcome: Outcome::None,
        took: Duration::ZERO,
    };
}

/// A stream table of the job.
pub struct Member {
    /// Its id.
    pub id: i64,
    /// What the catalog says of it; `None` if it is not to be refreshed.
    pub table: Option<StreamTable>,
    /// What came of it.
    pub outcome: Outcome,
    /// How long that took.
    pub took: Duration,
}

impl Member {
    /// What the catalog says now; it may have been dropped or suspended since the job was made.
    pub fn new(id: i64) -> Result<Self> {
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
    pub fn not_tried(&self) -> Done {
        match self.outcome {
            Outcome::Blocked => Done {
                outcome: Outcome::Blocked,
                ..Done::NOT_TRIED
            },
            _ => Done::NOT_TRIED,
        }
    }

    /// Takes its locks; false if that takes too long.
    pub fn lock(
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

    /// Refreshes it.
    pub fn refresh(
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
        let duration_ms = self.took.as_secs_f64() * 1e3;
        self.settle(worker, outcome, may_retry, started_at, duration_ms)
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
pub fn note_failure(
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
            ", and the stream table is suspended"
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

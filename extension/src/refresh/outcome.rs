//! The result of a refresh, and its row in the history.

use std::time::Instant;

use pgrx::datum::TimestampWithTimeZone;

use crate::catalog::{self, Action, HistoryRow, Reason};
use crate::error::Result;
use crate::pg::cluster::Moment;

use super::keyed_table::Counts;

/// What a refresh did.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What it was.
    pub action: Action,
    /// Why it was not, or not only, a matter of deltas.
    pub reason: Option<Reason>,
    /// Rows written to the stream table.
    pub counts: Counts,
    /// Change rows read from the sources, or, of those that a recomputation for cost has not read, about how many there
    /// were.
    pub delta_rows: u64,
    /// Duration without the commit.
    pub duration_ms: f64,
    /// Why there is no state, though the plan has one: what an expression said of a row that the query does not reach.
    pub failed_apart: Option<String>,
}

impl Outcome {
    /// Why the plan is given up where the mode was left to us: text that says what the clock decides may go.
    pub fn failed_for_good(&self) -> Option<&str> {
        let failed = self.failed_apart.as_deref();
        failed.filter(|_| self.reason != Some(Reason::ClockWord))
    }

    /// Writes it to the history.
    pub fn record(
        &self,
        pgt_id: i64,
        started: &Started,
        finished_at: TimestampWithTimeZone,
    ) -> Result<()> {
        catalog::insert_history(&HistoryRow {
            pgt_id,
            action: self.action,
            reason: self.reason.clone(),
            started_at: started.at.time,
            finished_at,
            duration_ms: self.duration_ms,
            rows_inserted: self.counts.inserted.cast_signed(),
            rows_updated: self.counts.updated.cast_signed(),
            rows_deleted: self.counts.deleted.cast_signed(),
            delta_rows: self.delta_rows.cast_signed(),
            error: None,
        })
    }
}

/// When a refresh began.
pub struct Started {
    /// By the server's clock.
    pub at: Moment,
    since: Instant,
}

impl Started {
    /// It begins.
    pub fn now() -> Self {
        Started {
            since: Instant::now(),
            at: Moment::now(),
        }
    }

    /// Milliseconds since then.
    pub fn elapsed_ms(&self) -> f64 {
        self.since.elapsed().as_secs_f64() * 1e3
    }
}

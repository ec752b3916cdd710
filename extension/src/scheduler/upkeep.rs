//! The scheduler's upkeep of the history. Rows beyond the last
//! `pg_trickle.history_rows` of each stream table are aggregated and removed, and records of unseen writes are deleted
//! after a week.

use std::time::{Duration, Instant};

use pgrx::Spi;

use crate::config;
use crate::error::Error;
use crate::pg::background;
use crate::pg::snapshot::ActiveSnapshot;
use crate::shmem::worker::{Outcome, TaskResult};

/// How often, while refreshes write history.
const PERIOD: Duration = Duration::from_secs(10);

/// What has to be done, and when it was done last.
#[derive(Debug)]
pub struct Upkeep {
    last: Instant,
    written: usize,
}

impl Default for Upkeep {
    fn default() -> Self {
        Upkeep {
            last: Instant::now(),
            written: 0,
        }
    }
}

const SHORTEN_HISTORY: &str = "
WITH last AS MATERIALIZED (
    SELECT t.pgt_id, h.history_id
    FROM pgtrickle.pgt_stream_tables t
    CROSS JOIN LATERAL (
        SELECT history_id FROM pgtrickle.pgt_refresh_history
        WHERE pgt_id OPERATOR(pg_catalog.=) t.pgt_id
        ORDER BY history_id DESC OFFSET $1 LIMIT 1
    ) h
), removed AS (
    DELETE FROM pgtrickle.pgt_refresh_history h USING last
    WHERE h.pgt_id OPERATOR(pg_catalog.=) last.pgt_id
      AND h.history_id OPERATOR(pg_catalog.<=) last.history_id
    RETURNING h.pgt_id, h.action, h.reason, h.status, pg_catalog.left(h.error, 2) AS error_class,
              pgtrickle._duration_bound_ms(h.duration_ms) AS bound_ms, h.duration_ms,
              h.rows_inserted, h.rows_updated, h.rows_deleted, h.delta_rows
)
INSERT INTO pgtrickle.pgt_refresh_totals AS t
SELECT pgt_id, action, reason, status, error_class, bound_ms, pg_catalog.count(*), pg_catalog.sum(duration_ms),
       pg_catalog.sum(rows_inserted), pg_catalog.sum(rows_updated), pg_catalog.sum(rows_deleted),
       pg_catalog.sum(delta_rows)
FROM removed
GROUP BY pgt_id, action, reason, status, error_class, bound_ms
ON CONFLICT ON CONSTRAINT pgt_refresh_totals_key DO UPDATE
SET refreshes     = t.refreshes OPERATOR(pg_catalog.+) excluded.refreshes,
    duration_ms   = t.duration_ms OPERATOR(pg_catalog.+) excluded.duration_ms,
    rows_inserted = t.rows_inserted OPERATOR(pg_catalog.+) excluded.rows_inserted,
    rows_updated  = t.rows_updated OPERATOR(pg_catalog.+) excluded.rows_updated,
    rows_deleted  = t.rows_deleted OPERATOR(pg_catalog.+) excluded.rows_deleted,
    delta_rows    = t.delta_rows OPERATOR(pg_catalog.+) excluded.delta_rows";

const FORGET_UNSEEN: &str = "
DELETE FROM pgtrickle.pgt_unseen_writes
WHERE written_at OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) interval '7 days')";

impl Upkeep {
    /// A job has ended.
    pub fn count(&mut self, results: &[TaskResult]) {
        let wrote =
            |result: &&TaskResult| matches!(result.outcome, Outcome::Refreshed | Outcome::Failed);
        self.written += results.iter().filter(wrote).count();
    }

    /// Does what is due, and returns how long to sleep, `wait` at most.
    pub fn run(&mut self, wait: Duration) -> Duration {
        if self.written == 0 {
            return wait;
        }
        if let Some(left) = PERIOD
            .checked_sub(self.last.elapsed())
            .filter(|d| !d.is_zero())
        {
            return wait.min(left);
        }
        self.written = 0;
        self.last = Instant::now();
        let keep = config::history_rows();
        let done = background::transaction(|| {
            let _snapshot = ActiveSnapshot::push();
            Spi::run_with_args(SHORTEN_HISTORY, &[keep.into()])
                .and_then(|()| Spi::run(FORGET_UNSEEN))
                .map_err(|error| Error::Internal(error.to_string()).into())
        });
        if let Err(failure) = done {
            pgrx::warning!(
                "pg_trickle: history could not be shortened: {}",
                failure.message
            );
        }
        wait
    }
}

//! A refresh gives way to a session that waits for one of its locks on a table, as autovacuum does: readers and
//! writers queue behind an ALTER TABLE that waits. The refresh is cancelled and repeated after that session, at most
//! [`TIMES_MAX`] times in a row.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgrx::Spi;

use super::pool::{Pool, Running};
use crate::error::Error;
use crate::pg::background;
use crate::pg::snapshot::ActiveSnapshot;
use crate::shmem::counters::REFRESHES_GIVEN_WAY;
use crate::shmem::worker::{Outcome, TaskResult};

/// How long a job runs before the scheduler checks whether a session waits for it, and how often it checks.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often in a row a stream table's refresh gives way.
const TIMES_MAX: u32 = 3;

/// Which of these processes hold a lock on a table that a session waits for which is none of them.
const WAITED_FOR: &str = "
SELECT pg_catalog.array_agg(DISTINCT b.pid)
FROM pg_catalog.pg_locks w
CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS b (pid)
WHERE NOT w.granted AND w.locktype OPERATOR(pg_catalog.=) 'relation'
  AND b.pid OPERATOR(pg_catalog.=) ANY ($1) AND w.pid OPERATOR(pg_catalog.<>) ALL ($1)";

/// The last check, and how often each stream table has given way since its last refresh.
#[derive(Debug)]
pub struct Courtesy {
    asked: Instant,
    times: HashMap<i64, u32>,
}

impl Default for Courtesy {
    fn default() -> Self {
        Courtesy {
            asked: Instant::now(),
            times: HashMap::new(),
        }
    }
}

impl Courtesy {
    /// A job has ended.
    pub fn end(&mut self, results: &[TaskResult]) {
        for result in results {
            match result.outcome {
                Outcome::None | Outcome::Waits | Outcome::Blocked => {}
                Outcome::Refreshed | Outcome::NoData | Outcome::Failed | Outcome::Gone => {
                    self.times.remove(&result.id);
                }
            }
        }
    }

    /// Cancels what is waited for, and returns how long to sleep, `wait` at most.
    pub fn run(&mut self, pool: &Pool, wait: Duration) -> Duration {
        let running = pool.jobs_running();
        let Some(longest) = running.iter().map(|job| job.since).max() else {
            return wait;
        };
        let left = PATIENCE.saturating_sub(longest.min(self.asked.elapsed()));
        if !left.is_zero() {
            return wait.min(left);
        }
        self.asked = Instant::now();
        let pids: Vec<i32> = running.iter().map(|job| job.pid).collect();
        match background::transaction(|| waited_for(&pids)) {
            Ok(waited_for) => {
                for job in running.iter().filter(|job| waited_for.contains(&job.pid)) {
                    self.give_way(job);
                }
            }
            Err(failure) => pgrx::warning!(
                "pg_trickle: the scheduler cannot check who waits for a refresh: {}",
                failure.message
            ),
        }
        wait.min(PATIENCE)
    }

    fn give_way(&mut self, job: &Running) {
        if job.since < PATIENCE || !self.may_give_way(job.ids) {
            return;
        }
        REFRESHES_GIVEN_WAY.count();
        job.worker.interrupt();
    }

    /// Whether it may, once more.
    fn may_give_way(&mut self, ids: &[i64]) -> bool {
        let is_over = |id: &i64| self.times.get(id).is_some_and(|times| *times >= TIMES_MAX);
        if ids.iter().any(is_over) {
            return false;
        }
        for id in ids {
            *self.times.entry(*id).or_default() += 1;
        }
        true
    }
}

fn waited_for(pids: &[i32]) -> std::result::Result<Vec<i32>, crate::pg::failure::Failure> {
    let _snapshot = ActiveSnapshot::push();
    let found = Spi::get_one_with_args::<Vec<i32>>(WAITED_FOR, &[pids.to_vec().into()]);
    let found = found.map_err(|error| Error::Internal(error.to_string()))?;
    Ok(found.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(id: i64, outcome: Outcome) -> TaskResult {
        TaskResult {
            id,
            outcome,
            took: Duration::from_millis(1),
        }
    }

    #[test]
    fn a_refresh_is_not_put_off_for_ever() {
        let mut courtesy = Courtesy::default();
        for _ in 0..TIMES_MAX {
            assert!(courtesy.may_give_way(&[1, 2]));
            courtesy.end(&[result(1, Outcome::None), result(2, Outcome::None)]);
        }
        assert!(!courtesy.may_give_way(&[2]));
        assert!(courtesy.may_give_way(&[3]));
        courtesy.end(&[result(2, Outcome::Refreshed)]);
        assert!(courtesy.may_give_way(&[2]));
    }
}

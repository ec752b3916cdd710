//! Which stream tables of an island a worker refreshes as one job.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Table, Tables};
use crate::scheduler::due::Clock;
use crate::shmem::worker::TASKS;

impl Tables {
    /// The job to which a due table belongs, if its island has none in flight: the due tables of the
    /// island, with those that follow them, each after what it reads.
    pub(super) fn job(&self, id: i64, clock: &Clock) -> Option<Vec<i64>> {
        let island = self.graph.island(id);
        self.in_flight
            .is_disjoint(&island)
            .then(|| self.job_of(&island, clock))
    }

    /// Not while it, or anything that it reads, is suspended; nor while something that it reads
    /// fails or is locked.
    pub(super) fn may_run(&self, id: i64, table: &Table) -> bool {
        !table.is_stopped
            && !table.is_immediate
            && self.graph.ancestors(id).iter().all(|above| {
                self.tables.get(above).is_none_or(|above| {
                    !above.is_stopped && !above.is_failing && above.blocked.is_none()
                })
            })
    }

    pub(super) fn job_of(&self, island: &BTreeSet<i64>, clock: &Clock) -> Vec<i64> {
        let may_run = |id: &i64| {
            self.tables
                .get(id)
                .is_some_and(|table| self.may_run(*id, table))
        };
        let mut job: BTreeSet<i64> = island
            .iter()
            .filter(|id| may_run(id))
            .filter(|id| {
                let table = self.tables.get(id);
                table.is_some_and(|table| table.due.wait(clock) == Some(Duration::ZERO))
            })
            .copied()
            .collect();
        let follows = |id: &i64| {
            let table = self.tables.get(id).filter(|table| table.due.follows());
            table.is_some_and(|table| table.due.retry_at.is_none_or(|at| at <= clock.now))
        };
        let mut pending: Vec<i64> = job.iter().copied().collect();
        while let Some(id) = pending.pop() {
            for reader in self.graph.downstream(id) {
                if follows(reader) && may_run(reader) && job.insert(*reader) {
                    pending.push(*reader);
                }
            }
            // What it reads beside, and would still rest, is to be of the same moment.
            for above in self.graph.ancestors(id) {
                let is_behind = self.awake.contains(&above);
                if is_behind && follows(&above) && may_run(&above) && job.insert(above) {
                    pending.push(above);
                }
            }
        }
        if job.len() > TASKS {
            job = self.most_urgent(&job, clock);
        }
        let mut ordered = self.graph.in_order(&job);
        ordered.truncate(TASKS);
        ordered
    }

    /// As many of a job as it can have, the most urgent, each with what it reads.
    fn most_urgent(&self, job: &BTreeSet<i64>, clock: &Clock) -> BTreeSet<i64> {
        let urgency = |id: &i64| {
            let table = self.tables.get(id);
            table
                .and_then(|table| table.due.urgency(clock))
                .unwrap_or(-1.0)
        };
        let mut by_urgency: Vec<(f64, i64)> = job.iter().map(|id| (urgency(id), *id)).collect();
        by_urgency.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let mut chosen = BTreeSet::new();
        for (_, id) in by_urgency {
            let mut with = self.graph.ancestors(id);
            with.retain(|above| job.contains(above));
            with.insert(id);
            let fits = chosen.union(&with).count() <= TASKS;
            if !fits && !chosen.is_empty() {
                break;
            }
            chosen.append(&mut with);
        }
        chosen
    }
}

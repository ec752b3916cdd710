//! Which stream tables are refreshed together: those of an island, and other due ones that read the same sources, so
//! that the changes of these are read once.
//!
//! A group holds its locks until all of it is done, so its time is bounded by that of its first job plus [`GROUP`].

use std::collections::BTreeSet;
use std::time::Duration;

use super::Tables;
use crate::scheduler::due::Clock;
use crate::scheduler::turn;

/// How long the refreshes may take that others bring to a job.
pub const GROUP: Duration = Duration::from_millis(25);
/// What a refresh is expected to take of which nothing is known.
const UNKNOWN: Duration = Duration::from_millis(5);
/// How many stream tables there may be in a group.
const MEMBERS_MAX: usize = 128;

/// Stream tables to be refreshed in one transaction, each after what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// They.
    pub ids: Vec<i64>,
    /// Whether it does not wait for what is locked: they are of several islands, or one has been locked for long.
    pub is_hasty: bool,
}

impl Tables {
    /// The job to which a due table belongs, with others that are due and read what it reads, the most urgent
    /// first; `None` if its island is in flight.
    pub fn group(&self, id: i64, clock: &Clock) -> Option<Job> {
        let mut ids = self.job(id, clock)?;
        let mut seen = self.graph.island(id);
        if self.is_blocked(&seen) {
            let is_hasty = ids.iter().any(|id| !self.is_patient(*id));
            return Some(Job { ids, is_hasty });
        }
        let mut is_hasty = false;
        let mut left = GROUP;
        for other in self.due_beside(&ids, clock) {
            if seen.contains(&other) {
                continue;
            }
            let island = self.graph.island(other);
            if !self.in_flight.is_disjoint(&island) || self.is_blocked(&island) {
                continue;
            }
            let job = self.job_of(&island, clock);
            let cost = job.iter().map(|id| self.expected(*id)).sum();
            let Some(rest) = left.checked_sub(cost) else {
                continue;
            };
            if ids.len() + job.len() > MEMBERS_MAX {
                break;
            }
            left = rest;
            is_hasty = true;
            ids.extend(job);
            seen.extend(island);
        }
        Some(Job { ids, is_hasty })
    }

    /// Whether one of these was locked when it was its turn: it comes by itself.
    fn is_blocked(&self, island: &BTreeSet<i64>) -> bool {
        let is_blocked = |id| (self.tables.get(id)).is_some_and(|table| table.blocked.is_some());
        island.iter().any(is_blocked)
    }

    /// Whether a refresh waits for its locks.
    fn is_patient(&self, id: i64) -> bool {
        let blocked = self.tables.get(&id).and_then(|table| table.blocked);
        blocked.is_none_or(turn::is_patient)
    }

    fn expected(&self, id: i64) -> Duration {
        let cost = self.tables.get(&id).map(|table| table.due.cost);
        cost.and_then(|cost| cost.known()).unwrap_or(UNKNOWN)
    }

    /// Other stream tables that are due and read a source of these, the most urgent first.
    fn due_beside(&self, ids: &[i64], clock: &Clock) -> Vec<i64> {
        let sources: BTreeSet<u32> = ids
            .iter()
            .flat_map(|id| self.graph.sources_of(*id))
            .copied()
            .collect();
        let readers: BTreeSet<i64> = sources
            .iter()
            .flat_map(|source| self.graph.readers_of(*source))
            .copied()
            .collect();
        let mut due: Vec<(f64, i64)> = readers
            .into_iter()
            .filter(|reader| !ids.contains(reader) && !self.in_flight.contains(reader))
            .filter_map(|reader| {
                let table = self.tables.get(&reader)?;
                let urgency = table.due.urgency(clock)?;
                self.may_run(reader, table).then_some((urgency, reader))
            })
            .collect();
        by_urgency(&mut due);
        due.into_iter().map(|(_, id)| id).collect()
    }
}

/// The most urgent first; those that are as urgent, by their ids.
pub(super) fn by_urgency(due: &mut [(f64, i64)]) {
    due.sort_by(|(a, id), (b, other)| b.total_cmp(a).then(id.cmp(other)));
}

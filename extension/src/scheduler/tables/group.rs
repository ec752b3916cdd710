//! Which stream tables are refreshed together: those of an island, and other due ones that read the same sources, so
//! that what these bring is read once.
//!
//! A group holds its locks until all of it is done, so it takes no longer than its first job and [`GROUP`].

use std::collections::BTreeSet;
use std::time::Duration;

use super::Tables;
use crate::scheduler::due::Clock;

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
    /// Whether they are of several islands.
    pub is_group: bool,
}

impl Tables {
    /// The job to which a due table belongs, with others that are due and read what it reads, the most urgent
    /// first; `None` if its island is in flight.
    pub fn group(&self, id: i64, clock: &Clock) -> Option<Job> {
        let mut ids = self.job(id, clock)?;
        let mut seen = self.graph.island(id);
        let mut is_group = false;
        if self.is_alone(&seen) {
            return Some(Job { ids, is_group });
        }
        let mut left = GROUP;
        for other in self.due_beside(&ids, clock) {
            if seen.contains(&other) {
                continue;
            }
            let island = self.graph.island(other);
            if !self.in_flight.is_disjoint(&island) || self.is_alone(&island) {
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
            is_group = true;
            ids.extend(job);
            seen.extend(island);
        }
        Some(Job { ids, is_group })
    }

    /// Whether one of these was locked when it was refreshed in a group.
    fn is_alone(&self, island: &BTreeSet<i64>) -> bool {
        let is_alone = |id| self.tables.get(id).is_some_and(|table| table.is_alone);
        island.iter().any(is_alone)
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

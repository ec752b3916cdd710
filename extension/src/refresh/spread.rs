//! The refresh of a spread stream table, on the coordinator: every node refreshes its shards, and turns new ones into
//! stream tables.
//!
//! Each node refreshes and commits all of its shards in one transaction. The error names nodes that fail; the others
//! have been refreshed.

use pgrx::pg_sys;

use crate::catalog::{self, Action, Reason, StreamTable};
use crate::citus::{self, Answer, Argument};
use crate::error::{CitusTable, Error, Result, SpreadError};
use crate::parse;
use crate::pg::citus as cluster_tables;
use crate::pg::{cluster, depend, name};
use crate::shmem::counters::REFRESHES_WITHOUT_DATA;

use super::keyed_table::Counts;
use super::outcome::{Outcome, Started};
use super::request::Request;

/// The function that the nodes are asked for.
const FUNCTION: &str = "maintain_shards";

/// What a node is to do with its shards of a stream table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Know its schedule and status.
    Define,
    /// The same, and refresh them.
    Refresh,
    /// The same, and compute them again.
    Recompute,
}

impl Task {
    /// Its name, as sent to nodes.
    pub fn name(self) -> &'static str {
        match self {
            Task::Define => "DEFINE",
            Task::Refresh => "REFRESH",
            Task::Recompute => "RECOMPUTE",
        }
    }

    /// The task of this name.
    pub fn of(name: &str) -> Option<Self> {
        let all = [Task::Define, Task::Refresh, Task::Recompute];
        all.into_iter().find(|task| task.name() == name)
    }
}

/// What the refreshes of shards have done together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    action: Action,
    reason: Option<String>,
    counts: Counts,
    delta_rows: u64,
}

impl Default for Sum {
    fn default() -> Self {
        Sum {
            action: Action::NoData,
            reason: None,
            counts: Counts::NONE,
            delta_rows: 0,
        }
    }
}

impl Sum {
    /// Adds the refresh of a shard.
    pub fn add(&mut self, outcome: &Outcome) {
        self.add_all(&Sum {
            action: outcome.action,
            reason: outcome
                .reason
                .as_ref()
                .map(|reason| reason.name().to_owned()),
            counts: outcome.counts,
            delta_rows: outcome.delta_rows,
        });
    }

    /// Reports the heaviest action: a shard that was filled, one that was recomputed, one refreshed by deltas.
    fn add_all(&mut self, other: &Sum) {
        let weight = |action| match action {
            Action::None | Action::NoData => 0,
            Action::Differential => 1,
            Action::Full => 2,
            Action::Initialize => 3,
        };
        if weight(other.action) > weight(self.action) {
            self.action = other.action;
            self.reason.clone_from(&other.reason);
        }
        self.counts.inserted += other.counts.inserted;
        self.counts.updated += other.counts.updated;
        self.counts.deleted += other.counts.deleted;
        self.delta_rows += other.delta_rows;
    }

    /// As one node sends it to another.
    pub fn told(&self) -> String {
        let Counts {
            inserted,
            updated,
            deleted,
            ..
        } = self.counts;
        let reason = self.reason.as_deref().unwrap_or("-");
        let (action, changes) = (self.action.name(), self.delta_rows);
        format!("{action} {reason} {inserted} {updated} {deleted} {changes}")
    }

    fn heard(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let action = words.next()?;
        let all = [
            Action::NoData,
            Action::Differential,
            Action::Full,
            Action::Initialize,
        ];
        let action = all.into_iter().find(|known| known.name() == action)?;
        let reason = words.next().filter(|reason| *reason != "-");
        let mut number = || words.next()?.parse().ok();
        let mut counts = Counts::NONE;
        counts.inserted = number()?;
        counts.updated = number()?;
        counts.deleted = number()?;
        Some(Sum {
            action,
            reason: reason.map(str::to_owned),
            counts,
            delta_rows: number()?,
        })
    }
}

/// Has every node refresh its shards of a stream table.
///
/// # Errors
/// [`SpreadError::Nodes`] with the nodes that have not, and why.
pub fn refresh(table: &StreamTable, request: Request) -> Result<Outcome> {
    let started = Started::now();
    let task = match request.force_full {
        true => Task::Recompute,
        false => Task::Refresh,
    };
    let sum = ask(table, task)?;
    let mut outcome = Outcome {
        action: sum.action,
        reason: sum.reason.map(Reason::Construct),
        counts: sum.counts,
        delta_rows: sum.delta_rows,
        duration_ms: 0.0,
        failed_apart: None,
    };
    // Shards that have come to a node were filled, they alone.
    if table.is_populated && outcome.action == Action::Initialize {
        outcome.action = Action::Full;
        outcome.reason = Some(Reason::ShardMoved);
    }
    if outcome.action == Action::NoData && table.is_populated {
        REFRESHES_WITHOUT_DATA.count();
    } else {
        catalog::store_frontier(table.pgt_id, None, true, None, &started.at)?;
        if !table.is_populated {
            catalog::note_change(table.pgt_id)?;
        }
        outcome.duration_ms = started.elapsed_ms();
        outcome.record(table.pgt_id, &started, cluster::now())?;
    }
    catalog::clear_failure(table.pgt_id)?;
    outcome.duration_ms = started.elapsed_ms();
    Ok(outcome)
}

/// Gives every node a task.
pub fn ask(table: &StreamTable, task: Task) -> Result<Sum> {
    let sources = catalog::dependencies(table.pgt_id)?;
    require_beside(table, table.relid, sources.iter().map(|read| read.source))?;
    let nodes = citus::nodes_of(table.relid)?;
    let query = parse::text_over_tables(table.view, &table.settings)?;
    let arguments = [
        Argument::Text(&table.qualified_name()),
        Argument::Text(&query),
        Argument::Text(&table.schedule),
        Argument::Text(table.status.name()),
        Argument::Texts(&table.settings.items()),
        Argument::Text(task.name()),
    ];
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    let answers = citus::call(&nodes, owner, FUNCTION, &arguments)?;
    let heard = heard_from_all(table, answers, |text| {
        let strange = || format!("its answer is not understood: {text}");
        Sum::heard(&text).ok_or_else(strange)
    })?;
    let mut sum = Sum::default();
    for of_node in &heard {
        sum.add_all(of_node);
    }
    Ok(sum)
}

/// Fails if a table that is read by shards is no longer beside the shards of `held`, which hold what is made of it: what
/// a node has of both may not be all of it.
pub(super) fn require_beside(
    table: &StreamTable,
    held: pg_sys::Oid,
    mut sources: impl Iterator<Item = pg_sys::Oid>,
) -> Result<()> {
    let Some(own) = cluster_tables::distribution(held) else {
        return Ok(());
    };
    let is_apart = |source: &pg_sys::Oid| {
        let found = cluster_tables::distribution(*source);
        found.is_some_and(|found| {
            found.kind == CitusTable::Distributed && found.colocation != own.colocation
        })
    };
    match sources.find(is_apart) {
        None => Ok(()),
        Some(source) => Err(SpreadError::Apart {
            table: table.plain_name(),
            source_table: name::relation_name(source).unwrap_or_default(),
        }
        .into()),
    }
}

/// What the nodes have answered, if every one has, and is understood.
pub(super) fn heard_from_all<T>(
    table: &StreamTable,
    answers: Vec<Answer>,
    understood: impl Fn(String) -> std::result::Result<T, String>,
) -> Result<Vec<T>> {
    let (mut heard, mut failed) = (Vec::new(), Vec::new());
    for Answer { node, result } in answers {
        match result.and_then(&understood) {
            Ok(of_node) => heard.push(of_node),
            Err(why) => failed.push(format!("{}:{}: {}", node.host, node.port, why.trim())),
        }
    }
    match failed.is_empty() {
        true => Ok(heard),
        false => Err(SpreadError::Nodes {
            table: table.plain_name(),
            failed,
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(action: Action, reason: Option<&str>, rows: u64) -> Sum {
        let mut sum = Sum {
            action,
            reason: reason.map(str::to_owned),
            delta_rows: 4 * rows,
            ..Sum::default()
        };
        sum.counts.inserted = rows;
        sum.counts.updated = 2 * rows;
        sum.counts.deleted = 3 * rows;
        sum
    }

    #[test]
    fn what_is_told_is_heard() {
        for told in [
            sum(Action::NoData, None, 0),
            sum(Action::Full, Some("TRUNCATE"), 7),
            sum(Action::Initialize, None, u64::MAX / 8),
        ] {
            assert_eq!(Sum::heard(&told.told()), Some(told));
        }
        for noise in [
            "",
            "FULL",
            "FULL - 1 2 3",
            "OTHER - 1 2 3 4",
            "FULL - 1 2 x 4",
        ] {
            assert_eq!(Sum::heard(noise), None, "{noise}");
        }
        assert_eq!(Task::of(Task::Define.name()), Some(Task::Define));
        assert_eq!(Task::of("OTHER"), None);
    }

    #[test]
    fn a_sum_tells_what_weighs_most() {
        let mut all = Sum::default();
        all.add_all(&sum(Action::Differential, None, 1));
        all.add_all(&sum(Action::Full, Some("TRUNCATE"), 2));
        all.add_all(&sum(Action::NoData, None, 0));
        assert_eq!(all.told(), "FULL TRUNCATE 3 6 9 12");
    }
}

//! The backstop: finds lost hints, rows that came or went with a partition, and queries whose meaning has
//! changed.
//!
//! Checking all change buffers and partitions of sources costs little per source. Only a refresh can verify
//! a plan, so a few stream tables are refreshed each time, in turn.

use std::collections::BTreeSet;

use crate::catalog::{self, Dependency, StreamTable};
use crate::cdc;
use crate::error::Result;
use crate::frontier::Frontier;
use crate::pg::snapshot::ActiveSnapshot;
use crate::scheduler::due::Clock;

use super::Tables;

/// How many stream tables are refreshed at each check, regardless of their sources.
const REFRESHED: usize = 64;

/// Whether a stream table needs a refresh, judging by the catalog and the buffers of its sources.
pub fn is_behind(table: &StreamTable, dependencies: &[Dependency]) -> Result<bool> {
    let (Some(frontier), true) = (&table.frontier, table.defining_query_hash.is_some()) else {
        return Ok(true);
    };
    let _present = ActiveSnapshot::push_latest();
    for dependency in dependencies {
        if cdc::has_news(dependency.source, std::slice::from_ref(frontier))?.contains(&true) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Tables {
    /// Marks what it finds to be behind.
    pub fn check(&mut self, clock: &Clock) -> Result<()> {
        let _present = ActiveSnapshot::push_latest();
        self.meet_others(clock)?;
        for source in catalog::sources()? {
            let tree = cdc::partitions_signature(source)?;
            let known = self.trees.insert(source.to_u32(), tree.clone());
            if known.is_some_and(|known| known != tree) {
                self.mark_readers(source.to_u32(), clock);
                continue;
            }
            let (ids, frontiers): (Vec<i64>, Vec<Frontier>) = catalog::consumers_of(source)?
                .into_iter()
                .filter_map(|consumer| Some((consumer.pgt_id, consumer.frontier?)))
                .unzip();
            for (id, has_news) in ids.into_iter().zip(cdc::has_news(source, &frontiers)?) {
                if has_news {
                    self.wake(id, clock);
                }
            }
        }
        let next = self.next_checked();
        self.reload_some(&next, clock)?;
        for id in next {
            if self
                .tables
                .get(&id)
                .is_some_and(|table| table.due.follows())
            {
                self.wake(id, clock);
            }
        }
        Ok(())
    }

    /// Learns of stream tables that are not known, and forgets those that are not there.
    fn meet_others(&mut self, clock: &Clock) -> Result<()> {
        let present = catalog::ids()?;
        let known: BTreeSet<i64> = self.tables.keys().copied().collect();
        let others: Vec<i64> = present.symmetric_difference(&known).copied().collect();
        self.reload_some(&others, clock)
    }

    /// Those whose turn it is to be refreshed to check on them.
    fn next_checked(&mut self) -> Vec<i64> {
        let after = self.checked.saturating_add(1);
        let later = self.tables.range(after..).map(|(id, _)| *id);
        let earlier = self.tables.range(..after).map(|(id, _)| *id);
        let next: Vec<i64> = later.chain(earlier).take(REFRESHED).collect();
        self.checked = next.last().copied().unwrap_or(0);
        next
    }
}

//! Deltas that several refreshes at one snapshot share: the changes of a common source are read and consolidated once.
//!
//! Two frontiers have the same delta if they agree on every change row that a reader of either meets. So a delta keeps
//! the ids of these rows, and a reader with another frontier checks whether it would read the same. Rows that this
//! transaction captures are new, and outdate a delta.

use super::buffer;
use super::consolidation::{Consolidation, SourceDelta};
use super::delta::Reading;
use crate::error::{Error, Result};
use crate::frontier::Frontier;
use crate::pg::memory::MemoryContext;
use crate::pg::row::Row;
use crate::pg::tupdesc::attributes;
use crate::shmem::counters::{DELTAS_READ, DELTAS_SHARED};
use crate::shmem::notes;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// Beyond so many rows, the oldest deltas are let go of.
const ROWS_MAX: u64 = 1_000_000;

/// The deltas of a group of refreshes, at the active snapshot and in this transaction.
#[derive(Debug)]
pub struct SharedDeltas {
    known: RefCell<Vec<Known>>,
    expected: HashMap<pg_sys::Oid, Expected>,
    /// Freed last, as fields drop in order.
    context: MemoryContext,
}

/// What the readers of a source want.
#[derive(Debug)]
struct Expected {
    columns: BTreeSet<i16>,
    /// The first transaction of which one of them has not consumed everything.
    first: u64,
}

/// A delta that was read.
#[derive(Debug)]
struct Known {
    source: pg_sys::Oid,
    /// Its columns, ascending.
    attnums: Vec<i16>,
    frontier: Frontier,
    /// Rows of transactions before this one were not met.
    first: u64,
    /// Those that were, in the order of the buffer, without immediate repetitions.
    met: Rc<Vec<(u64, i32)>>,
    /// How often this process had written to the buffer.
    captures: u64,
    delta: SourceDelta,
}

impl Known {
    /// Whether the reader would take in the same changes.
    fn serves(&self, wanted: &Wanted) -> bool {
        let frontier = wanted.frontier;
        let takes_the_same = |(xid, epoch): &(u64, i32)| {
            frontier.consumes(*xid, *epoch) == self.frontier.consumes(*xid, *epoch)
        };
        self.source == wanted.source
            && self.captures == wanted.captures
            && frontier.first_unconsumed() >= self.first
            && (frontier == &self.frontier || self.met.iter().all(takes_the_same))
    }

    fn has(&self, attnums: &[i16]) -> bool {
        let has = |wanted| self.attnums.binary_search(wanted).is_ok();
        attnums.iter().all(has)
    }

    /// The same changes in some of its columns.
    fn narrowed(&self, attnums: &[i16], context: pg_sys::MemoryContext) -> Result<Known> {
        let position = |wanted| self.attnums.binary_search(wanted).ok();
        let positions: Vec<usize> = attnums.iter().filter_map(position).collect();
        let columns = attributes(self.delta.store.tuple_desc());
        let mut delta = Consolidation::lasting(columns, &positions, context)?;
        if let Some(why) = self.delta.recompute {
            delta.add(Row::EMPTY, why.weight());
        }
        let mut rows = self.delta.store.scan();
        while let Some(row) = rows.next() {
            let row = row.row();
            let weight = row.values.last().map_or(0, |weight| weight.value() as i32);
            delta.add(row, weight);
        }
        let delta = SourceDelta {
            raw_rows: self.delta.raw_rows,
            ..delta.finish()
        };
        Ok(Known {
            source: self.source,
            attnums: attnums.to_vec(),
            frontier: self.frontier.clone(),
            first: self.first,
            met: Rc::clone(&self.met),
            captures: self.captures,
            delta,
        })
    }
}

/// What a reader asks for.
#[derive(Debug)]
struct Wanted<'a> {
    source: pg_sys::Oid,
    attnums: &'a [i16],
    frontier: &'a Frontier,
    captures: u64,
}

impl Default for SharedDeltas {
    fn default() -> Self {
        SharedDeltas {
            known: RefCell::default(),
            expected: HashMap::new(),
            context: MemoryContext::new(c"pg_trickle shared deltas"),
        }
    }
}

impl SharedDeltas {
    /// A refresh of the group will want these columns of the source, from this frontier on.
    pub fn expect(&mut self, source: pg_sys::Oid, attnums: &[i16], frontier: &Frontier) {
        let first = frontier.first_unconsumed();
        let expected = self.expected.entry(source).or_insert(Expected {
            columns: BTreeSet::new(),
            first,
        });
        expected.columns.extend(attnums);
        expected.first = expected.first.min(first);
    }

    /// Forgets what was read: a refresh that has failed may have seen rows of its own that are undone.
    pub fn forget(&self) {
        self.known.take();
    }

    /// The changes of `source` in the columns `attnums`, ascending, that `frontier` has not consumed.
    pub fn read(
        &self,
        source: pg_sys::Oid,
        attnums: &[i16],
        frontier: &Frontier,
    ) -> Result<SourceDelta> {
        let wanted = Wanted {
            source,
            attnums,
            frontier,
            captures: buffer::find(source)?.map_or(0, notes::captures),
        };
        if let Some(found) = self.find(&wanted)? {
            DELTAS_SHARED.count();
            return Ok(found);
        }
        self.read_for_all(&wanted)?;
        self.find(&wanted)?
            .ok_or_else(|| Error::Internal("a delta does not serve who asked for it".into()))
    }

    /// It, if it is known in these columns or in more.
    fn find(&self, wanted: &Wanted) -> Result<Option<SourceDelta>> {
        let narrowed = {
            let known = self.known.borrow();
            let serving = || known.iter().filter(|known| known.serves(wanted));
            if let Some(found) = serving().find(|known| known.attnums == wanted.attnums) {
                return Ok(Some(found.delta.clone()));
            }
            let Some(wider) = serving().find(|known| known.has(wanted.attnums)) else {
                return Ok(None);
            };
            wider.narrowed(wanted.attnums, self.context.as_ptr())?
        };
        let delta = narrowed.delta.clone();
        self.keep(narrowed);
        Ok(Some(delta))
    }

    /// Reads the buffer for this reader and those that are expected.
    fn read_for_all(&self, wanted: &Wanted) -> Result<()> {
        let mut columns: BTreeSet<i16> = wanted.attnums.iter().copied().collect();
        let mut first = wanted.frontier.first_unconsumed();
        if let Some(expected) = self.expected.get(&wanted.source) {
            columns.extend(&expected.columns);
            first = first.min(expected.first);
        }
        let columns: Vec<i16> = columns.into_iter().collect();
        let reading = Reading {
            source: wanted.source,
            attnums: &columns,
            frontier: wanted.frontier,
            first,
        };
        let met = RefCell::new(Vec::new());
        let context = self.context.as_ptr();
        let delta = reading.read(
            |attributes, positions| Consolidation::lasting(attributes, positions, context),
            |xid, epoch| {
                let mut met = met.borrow_mut();
                if met.last() != Some(&(xid, epoch)) {
                    met.push((xid, epoch));
                }
            },
        )?;
        DELTAS_READ.count();
        self.keep(Known {
            source: wanted.source,
            attnums: columns,
            frontier: wanted.frontier.clone(),
            first,
            met: Rc::new(met.into_inner()),
            captures: wanted.captures,
            delta,
        });
        Ok(())
    }

    fn keep(&self, new: Known) {
        let mut known = self.known.borrow_mut();
        known.push(new);
        let mut rows: u64 = known.iter().map(|known| known.delta.rows).sum();
        while rows > ROWS_MAX && known.len() > 1 {
            rows -= known.remove(0).delta.rows;
        }
    }
}

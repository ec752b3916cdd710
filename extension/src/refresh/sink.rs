//! Where a node's changed rows go: into the stream table by key, or into a delta for another node.

use std::ops::Range;

use pgrx::pg_sys;
use pgtrickle_dvm::sql::names;
use pgtrickle_dvm::weight::Weight;

use crate::cdc::weighted;
use crate::error::{Error, Result};
use crate::pg::memory::MemoryContext;
use crate::pg::row::Row;
use crate::pg::tupdesc::OwnTupleDesc;
use crate::pg::tuplestore::TupleStore;

use super::keyed_table::{Counts, KeyedTable, Place};
use super::row_types;

/// The consumer of a node's changed rows.
#[derive(Debug)]
pub enum Sink {
    /// The stream table, by group key.
    Table {
        /// The table.
        table: Box<KeyedTable>,
    },
    /// A store of rows with a weight in the last column, made when the row type is known.
    Delta {
        /// Where the store is allocated.
        context: pg_sys::MemoryContext,
        /// The store.
        store: Option<TupleStore>,
    },
    /// Not needed.
    Nowhere,
}

impl Sink {
    /// A delta, allocated in `memory`.
    pub fn delta(memory: &MemoryContext) -> Self {
        Sink::Delta {
            context: memory.as_ptr(),
            store: None,
        }
    }

    /// Tells the row type: `outputs` of these columns.
    pub fn expect(&mut self, desc: pg_sys::TupleDesc, outputs: Range<usize>) -> Result<()> {
        if let Sink::Delta { context, store } = self
            && store.is_none()
        {
            let mut columns = row_types::columns_of(desc, outputs, |i, _| names::column(i));
            columns.push(row_types::plain(names::WEIGHT, pg_sys::INT4OID));
            let desc = OwnTupleDesc::build(*context, &columns)?;
            *store = Some(TupleStore::new(*context, desc.as_ptr()));
        }
        Ok(())
    }

    /// The delta's rows.
    pub fn into_store(self) -> Option<TupleStore> {
        match self {
            Sink::Table { .. } | Sink::Nowhere => None,
            Sink::Delta { store, .. } => store,
        }
    }

    /// Finishes the writes to the table.
    pub fn finish(self) -> Result<Counts> {
        match self {
            Sink::Table { table } => table.finish(),
            Sink::Delta { .. } | Sink::Nowhere => Ok(Counts::default()),
        }
    }

    /// The group with this key now has the row `new`, or none. `place` is where the stream table has it.
    pub fn put(&mut self, key: Row<'_>, place: Place, new: Row<'_>, keep: bool) -> Result<()> {
        match self {
            Sink::Table { table } => table.put(key, place, keep.then_some(new)),
            Sink::Delta { store, .. } => {
                if keep {
                    weigh(store.as_mut(), new, Weight::ONE)?;
                }
                Ok(())
            }
            Sink::Nowhere => Ok(()),
        }
    }

    /// The group's old row. Only deltas hear of it: the table finds it by key.
    pub fn remove(&mut self, old: Row<'_>) -> Result<()> {
        self.weigh(old, -Weight::ONE)
    }

    /// The group with this key is gone. Deltas have heard of its old row.
    pub fn remove_by_key(&mut self, key: Row<'_>) -> Result<()> {
        match self {
            Sink::Table { table } => table.put(key, Place::Unknown, None),
            Sink::Delta { .. } | Sink::Nowhere => Ok(()),
        }
    }

    /// A row of a delta with its weight.
    pub fn weigh(&mut self, row: Row<'_>, weight: Weight) -> Result<()> {
        match self {
            Sink::Table { .. } | Sink::Nowhere => Ok(()),
            Sink::Delta { store, .. } => weigh(store.as_mut(), row, weight),
        }
    }

    /// The stream table.
    pub fn table(&mut self) -> Result<&mut KeyedTable> {
        match self {
            Sink::Table { table } => Ok(table),
            Sink::Delta { .. } | Sink::Nowhere => Err(Error::Internal(
                "a delta was taken for the stream table".into(),
            )),
        }
    }
}

fn weigh(store: Option<&mut TupleStore>, row: Row<'_>, weight: Weight) -> Result<()> {
    let store = store.ok_or_else(|| Error::Internal("a delta without a row type".into()))?;
    weighted::put(store, row, weight);
    Ok(())
}

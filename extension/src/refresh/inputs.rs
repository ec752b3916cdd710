//! The delta inputs of a refresh: one ephemeral relation per source that changed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pgrx::pg_sys;
use pgtrickle_dvm::frontier::Frontier;
use pgtrickle_dvm::plan::Source;
use pgtrickle_dvm::sql::names;

use crate::cdc::{self, Marker, SharedDeltas, SourceDelta, TransientChanges};
use crate::error::Result;
use crate::pg::spi::Connection;
use crate::pg::tuplestore::TupleStore;

use super::compiled::Compiled;
use super::immediate::running;

/// What the sources bring.
#[derive(Debug, Default)]
pub struct Inputs {
    stores: BTreeMap<Source, Rc<TupleStore>>,
    /// Why a source has changed in a way that its buffer does not list: only a recomputation is exact.
    pub must_recompute: Option<Marker>,
    /// Change rows read, before consolidation.
    pub raw_rows: u64,
}

impl Inputs {
    /// Reads the delta of every table, from the frontier to the active snapshot. This is the probe
    /// and the read in one, and takes no statement: a table without changes costs a look at the
    /// length of its buffer. What another refresh of the group has read is not read again.
    pub fn read(
        compiled: &Compiled,
        frontier: &Frontier,
        shared: Option<&SharedDeltas>,
        context: pg_sys::MemoryContext,
    ) -> Result<Self> {
        let mut inputs = Inputs::default();
        for table in &compiled.tables {
            let delta = match shared {
                Some(shared) => shared.read(table.oid, &table.attnums, frontier)?,
                None => cdc::read_delta(table.oid, &table.attnums, frontier, context)?,
            };
            inputs.add(table.oid, delta);
        }
        Ok(inputs)
    }

    /// Reads the changes of this transaction that wait for an IMMEDIATE stream table.
    pub fn waiting_for(
        pgt_id: i64,
        compiled: &Compiled,
        context: pg_sys::MemoryContext,
    ) -> Result<Self> {
        let mut inputs = Inputs::default();
        for table in &compiled.tables {
            let changes = running::changes_for(pgt_id, table.oid);
            let changes = changes.iter().map(Rc::as_ref);
            if let Some(delta) = TransientChanges::consolidate(changes, &table.attnums, context)? {
                inputs.add(table.oid, delta);
            }
        }
        Ok(inputs)
    }

    fn add(&mut self, table: pg_sys::Oid, delta: SourceDelta) {
        self.must_recompute = self.must_recompute.or(delta.recompute);
        self.raw_rows += delta.raw_rows;
        if delta.rows > 0 {
            let source = Source::Table(table.to_u32());
            self.stores.insert(source, delta.store);
        }
    }

    /// The sources that changed.
    pub fn sources(&self) -> impl Iterator<Item = Source> {
        self.stores.keys().copied()
    }

    /// Whether this source changed.
    pub fn has(&self, source: Source) -> bool {
        self.stores.contains_key(&source)
    }

    /// Whether no source changed.
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// Adds the delta of a node.
    pub fn insert(&mut self, source: Source, store: TupleStore) {
        if store.count() > 0 {
            self.stores.insert(source, Rc::new(store));
        }
    }

    /// The changed ones among `sources`, with their row counts.
    pub fn changed(&self, sources: &BTreeSet<Source>) -> Vec<(Source, u64)> {
        self.stores
            .iter()
            .filter(|(source, _)| sources.contains(source))
            .map(|(source, store)| (*source, store.count()))
            .collect()
    }

    /// The deltas of the changed ones among `sources`.
    pub fn of(&self, sources: &BTreeSet<Source>) -> Vec<(Source, &TupleStore)> {
        self.stores
            .iter()
            .filter(|(source, _)| sources.contains(source))
            .map(|(source, store)| (*source, store.as_ref()))
            .collect()
    }

    /// Registers the deltas of these sources as ephemeral relations.
    pub fn register(&self, connection: &Connection, sources: &[(Source, u64)]) -> Result<()> {
        for (source, _) in sources {
            if let Some(store) = self.stores.get(source) {
                connection.register(&names::delta(*source), store)?;
            }
        }
        Ok(())
    }
}

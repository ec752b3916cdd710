//! The tables that a plan's statements read and write, opened with the index by which their rows are found.

use pgtrickle_dvm::plan::{Identity, Image, Maintenance, Node, Store, fits_index};

use crate::error::{Error, Result};
use crate::pg::index_lookup::Over;
use crate::pg::invalidation;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;

use super::compiled::{Compiled, has_table};
use super::keyed_table::KeyedTable;
use super::lookup::Lookup;
use super::state_names::{image_table_oid, state_table_oid};

impl Compiled {
    /// Opens the state table of a node.
    pub fn open_state(&self, node: &Node) -> Result<KeyedTable> {
        let oid = state_table_oid(&self.state_prefix, node.id)?;
        let columns: Vec<usize> = (0..node.keys.len()).collect();
        let lookup = Lookup::by(oid, &columns, state_index(node))?;
        KeyedTable::open(oid, &lookup)
    }

    /// Opens the table in which an independent row changes with everything that is kept of it, to be found by
    /// what the row is found by in the stream table.
    pub fn open_independent_rows(&self) -> Result<KeyedTable> {
        match self.last_node() {
            Some(node) if has_table(node) => self.open_state(node),
            _ => self.open_output(),
        }
    }

    /// Opens the table with the rows of an image.
    pub fn open_image(&self, image: &Image) -> Result<KeyedTable> {
        let oid = image_table_oid(&self.state_prefix, image.id)?;
        KeyedTable::open(oid, &Lookup::Single)
    }

    /// Opens the table with the rows of a recursion that is maintained by deltas.
    pub fn open_recursion(&self, image: &Image) -> Result<KeyedTable> {
        let oid = image_table_oid(&self.state_prefix, image.id)?;
        let all: Vec<usize> = (0..image.opaque.columns.len()).collect();
        KeyedTable::open(oid, &Lookup::by(oid, &all, Over::Image)?)
    }

    /// Opens the stream table. Its changes go to its own buffer, if it has one.
    pub fn open_output(&self) -> Result<KeyedTable> {
        let _locked = Relation::open(self.stream_table, LockMode::RowExclusive)?;
        let now = invalidation::generation();
        let mut known = self.output_lookup.borrow_mut();
        if let Some((at, lookup)) = known.as_ref()
            && !invalidation::any_since(*at, &[self.stream_table])
        {
            return KeyedTable::open_recording(self.stream_table, lookup);
        }
        let lookup = match self.plan.output.identity() {
            Identity::Key { columns, .. } => {
                Lookup::by(self.stream_table, columns, self.output_index())?
            }
            Identity::Image => {
                let all: Vec<usize> = (0..self.plan.columns.len()).collect();
                Lookup::by(self.stream_table, &all, Over::Image)?
            }
        };
        let (_, lookup) = known.insert((now, lookup));
        KeyedTable::open_recording(self.stream_table, lookup)
    }

    /// Where the stream table's columns make the partitions of the last node, when it holds them itself, and
    /// how they are looked up.
    pub fn partitions_in_output(&self) -> Option<(&[usize], Over)> {
        let last = self.last_node()?;
        last.partition()?;
        match &last.store {
            Store::Output(positions) => Some((positions, state_index(last))),
            Store::Table { .. } | Store::None => None,
        }
    }

    /// Opens the stream table to look up partitions of the last node.
    pub fn open_partitions(&self) -> Result<KeyedTable> {
        let (columns, over) = self.partitions_in_output().ok_or_else(|| {
            Error::Internal("the stream table does not hold the last node's partitions".into())
        })?;
        let lookup = Lookup::by(self.stream_table, columns, over)?;
        KeyedTable::open_recording(self.stream_table, &lookup)
    }

    /// How the stream table's rows are looked up.
    pub fn output_index(&self) -> Over {
        let alike = |columns: &[usize]| {
            let column = |at: &usize| self.plan.columns.get(*at);
            let mut columns = columns.iter().filter_map(column);
            columns.all(|column| column.ty.image_equality)
        };
        match self.plan.output.identity() {
            Identity::Key {
                unique_index: true, ..
            } => Over::Key,
            Identity::Key { columns, .. } if !alike(columns) => Over::Equality,
            Identity::Key { .. } | Identity::Image => Over::Image,
        }
    }
}

/// How a state table is looked up: by the image of its key, unless equal keys can have different images.
pub(super) fn state_index(node: &Node) -> Over {
    let alike = node.keys.iter().all(|key| key.ty.image_equality);
    match node.maintenance {
        Maintenance::Accumulate { .. } | Maintenance::Rows => Over::Image,
        Maintenance::Recompute | Maintenance::Partition(_) if alike => Over::Image,
        _ if !fits_index(node.keys.iter().map(|key| &key.ty)) => Over::Equality,
        Maintenance::Recompute => Over::Key,
        Maintenance::Partition(_) => Over::Values,
    }
}

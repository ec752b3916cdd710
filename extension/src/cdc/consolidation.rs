//! Consolidating changes: each image once, with the sum of its weights.
//!
//! Rows go to the result as they are read. Only if some image occurred twice is the result copied,
//! with the weights of equal images summed and zeros dropped. Memory holds a number per
//! row, and a hash and a weight per image; the rows themselves spill to disk.

use super::marker::Marker;
use crate::error::Result;
use crate::pg::image::{self, ImageType};
use crate::pg::row::{OwnedRow, Row};
use crate::pg::tupdesc::{Column, OwnTupleDesc};
use crate::pg::tuplestore::TupleStore;
use pgrx::pg_sys;
use pgtrickle_dvm::weight::Weight;
use std::rc::Rc;

use super::weighted::{self, RowSum};

/// The changes of one source that a refresh takes in.
#[derive(Debug, Clone)]
pub struct SourceDelta {
    /// The columns that were asked for, `a<attnum>`, then `__pgt_w`. Each image once, weight not 0; several times
    /// where the weight is more than an `int4`.
    pub store: Rc<TupleStore>,
    /// Rows in it.
    pub rows: u64,
    /// Change rows read, before consolidation.
    pub raw_rows: u64,
    /// Why the changes are incomplete, so that readers recompute. `rows` is 0 then.
    pub recompute: Option<Marker>,
}

/// The column of the weight.
pub fn weight_column() -> Column {
    Column {
        name: "__pgt_w".into(),
        type_oid: pg_sys::INT4OID,
        typmod: -1,
        collation: pg_sys::InvalidOid,
    }
}

/// A delta in the making.
pub struct Consolidation {
    context: pg_sys::MemoryContext,
    /// Whether the delta outlives the subtransaction in which it is made.
    is_lasting: bool,
    positions: Vec<usize>,
    types: Vec<ImageType>,
    /// The row under construction.
    filled: OwnedRow,
    store: TupleStore,
    /// What they add up to.
    sum: RowSum,
    recompute: Option<Marker>,
}

impl Consolidation {
    /// An empty delta in `context`, of the columns at `positions` of rows that have these attributes.
    pub fn new(
        attributes: &[pg_sys::FormData_pg_attribute],
        positions: &[usize],
        context: pg_sys::MemoryContext,
    ) -> Result<Self> {
        Self::begin(attributes, positions, context, false)
    }

    /// The same for a delta that outlives the subtransaction in which it is made, as `context` does.
    pub fn lasting(
        attributes: &[pg_sys::FormData_pg_attribute],
        positions: &[usize],
        context: pg_sys::MemoryContext,
    ) -> Result<Self> {
        Self::begin(attributes, positions, context, true)
    }

    fn begin(
        attributes: &[pg_sys::FormData_pg_attribute],
        positions: &[usize],
        context: pg_sys::MemoryContext,
        is_lasting: bool,
    ) -> Result<Self> {
        let captured: Vec<_> = positions
            .iter()
            .filter_map(|&at| attributes.get(at))
            .collect();
        let mut columns: Vec<Column> = captured.iter().map(|a| Column::from(*a)).collect();
        columns.push(weight_column());
        let desc = OwnTupleDesc::build(context, &columns)?;
        Ok(Consolidation {
            context,
            is_lasting,
            positions: positions.to_vec(),
            types: captured.iter().map(|a| ImageType::from(*a)).collect(),
            filled: OwnedRow::blank(columns.len()),
            store: new_store(context, desc.as_ptr(), is_lasting),
            sum: RowSum::default(),
            recompute: None,
        })
    }

    /// From here on, the columns are at these positions of the rows that come.
    pub fn read_from(&mut self, positions: Vec<usize>) {
        self.positions = positions;
    }

    /// Adds a change, or a marker by its weight; false if no more are needed.
    pub fn add(&mut self, row: Row<'_>, weight: i32) -> bool {
        if let Some(marker) = Marker::of(weight) {
            self.recompute = Some(marker);
            return false;
        }
        for ((value, is_null), at) in self.filled.columns_mut().zip(&self.positions) {
            (*value, *is_null) = row.get_or_null(*at);
        }
        self.filled.set(self.types.len(), weight);
        let hash = image::hash128(self.filled.row(), self.types.iter().copied());
        self.sum.add(hash, Weight::from(weight));
        self.store.put(self.filled.row());
        true
    }

    /// The delta.
    pub fn finish(mut self) -> SourceDelta {
        let raw_rows = self.sum.rows() as u64;
        if self.recompute.is_some() {
            return SourceDelta {
                store: Rc::new(self.empty_store()),
                rows: 0,
                raw_rows,
                recompute: self.recompute,
            };
        }
        if !self.sum.is_consolidated() {
            self.store = self.consolidated();
        }
        SourceDelta {
            rows: self.store.rows(),
            store: Rc::new(self.store),
            raw_rows,
            recompute: None,
        }
    }

    fn empty_store(&self) -> TupleStore {
        new_store(self.context, self.store.tuple_desc(), self.is_lasting)
    }

    /// The rows once per image, with their summed weights.
    fn consolidated(&mut self) -> TupleStore {
        let mut result = self.empty_store();
        let mut rows = self.store.scan();
        for weight in std::mem::take(&mut self.sum).into_weights() {
            let Some(row) = rows.next() else { break };
            if weight.is_zero() {
                continue;
            }
            pgrx::check_for_interrupts!();
            weighted::put(&mut result, row.row().without_last(), weight);
        }
        drop(rows);
        result
    }
}

fn new_store(
    context: pg_sys::MemoryContext,
    desc: pg_sys::TupleDesc,
    is_lasting: bool,
) -> TupleStore {
    match is_lasting {
        true => TupleStore::of_transaction(context, desc),
        false => TupleStore::new(context, desc),
    }
}

//! Consolidating changes: each image once, with the sum of its weights.
//!
//! Rows go to the result as they are read. Only if some image occurred twice is the result copied
//! once more, with the weights of equal images summed and zeros dropped. What is kept in memory per
//! row is a number, and per image a hash and a weight; the rows themselves spill to disk.

use crate::error::Result;
use crate::pg::image::{self, ImageMap, ImageType};
use crate::pg::tupdesc::{Column, OwnTupleDesc};
use crate::pg::tuplestore::TupleStore;
use pgrx::pg_sys;
use std::rc::Rc;

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
    /// The changes do not tell the whole story (a TRUNCATE): recompute. `rows` is 0 then.
    pub recompute: bool,
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
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    store: TupleStore,
    /// The number of each image, in order of appearance.
    numbers: ImageMap<u32>,
    /// The summed weight of each image, by number.
    weights: Vec<i64>,
    /// The number of each row's image.
    images: Vec<u32>,
    recompute: bool,
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
            values: vec![pg_sys::Datum::from(0); columns.len()],
            nulls: vec![false; columns.len()],
            store: new_store(context, desc.as_ptr(), is_lasting),
            numbers: ImageMap::default(),
            weights: Vec::new(),
            images: Vec::new(),
            recompute: false,
        })
    }

    /// From here on, the columns are at these positions of the rows that come.
    pub fn read_from(&mut self, positions: Vec<usize>) {
        self.positions = positions;
    }

    /// Adds a change, of which 0 is the weight of "recompute"; false if no more are needed.
    pub fn add(&mut self, values: &[pg_sys::Datum], nulls: &[bool], weight: i32) -> bool {
        if weight == 0 {
            self.recompute = true;
            return false;
        }
        for (at, position) in self.positions.iter().enumerate() {
            if let (Some(value), Some(null)) = (self.values.get_mut(at), self.nulls.get_mut(at)) {
                *value = values
                    .get(*position)
                    .copied()
                    .unwrap_or(pg_sys::Datum::from(0));
                *null = nulls.get(*position).copied().unwrap_or(true);
            }
        }
        if let Some(last) = self.values.last_mut() {
            *last = pg_sys::Datum::from(weight);
        }
        let hash = image::hash128(&self.values, &self.nulls, self.types.iter().copied());
        let next = self.weights.len() as u32;
        let number = *self.numbers.entry(hash).or_insert(next);
        match self.weights.get_mut(number as usize) {
            Some(sum) => *sum += i64::from(weight),
            None => self.weights.push(i64::from(weight)),
        }
        self.images.push(number);
        self.store.put_values(&self.values, &self.nulls);
        true
    }

    /// The delta.
    pub fn finish(mut self) -> SourceDelta {
        let raw_rows = self.images.len() as u64;
        if self.recompute {
            return SourceDelta {
                store: Rc::new(self.empty_store()),
                rows: 0,
                raw_rows,
                recompute: true,
            };
        }
        if self.weights.len() < self.images.len() {
            self.store = self.consolidated();
        }
        SourceDelta {
            rows: self.store.rows(),
            store: Rc::new(self.store),
            raw_rows,
            recompute: false,
        }
    }

    fn empty_store(&self) -> TupleStore {
        new_store(self.context, self.store.tuple_desc(), self.is_lasting)
    }

    /// The rows once per image, with their summed weights.
    fn consolidated(&mut self) -> TupleStore {
        let mut result = self.empty_store();
        let mut rows = self.store.scan();
        for number in &self.images {
            let Some(row) = rows.next() else { break };
            // Taken, so that later rows of the same image find 0.
            let weight = self
                .weights
                .get_mut(*number as usize)
                .map_or(0, std::mem::take);
            if weight == 0 {
                continue;
            }
            pgrx::check_for_interrupts!();
            let (values, nulls) = row.values();
            self.values.copy_from_slice(values);
            self.nulls.copy_from_slice(nulls);
            for part in parts_of(weight) {
                if let Some(last) = self.values.last_mut() {
                    *last = pg_sys::Datum::from(part);
                }
                result.put_values(&self.values, &self.nulls);
            }
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

/// A weight as a sum of weights that the column holds: itself, but for two thousand million rows alike.
fn parts_of(weight: i64) -> impl Iterator<Item = i32> {
    let mut left = weight;
    std::iter::from_fn(move || {
        let part = left.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        left -= i64::from(part);
        (part != 0).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::parts_of;

    #[test]
    fn a_weight_beyond_the_column_is_split_and_none_of_it_is_lost() {
        let max = i64::from(i32::MAX);
        for weight in [1, -1, max, -max - 1, max + 1, 3 * max + 5, -4 * max, 0] {
            let parts: Vec<i32> = parts_of(weight).collect();
            assert_eq!(parts.iter().map(|p| i64::from(*p)).sum::<i64>(), weight);
            let least = weight.unsigned_abs().div_ceil(max.unsigned_abs() + 1);
            assert!(
                parts.len() as u64 >= least && !parts.contains(&0),
                "{parts:?}"
            );
        }
        assert_eq!(parts_of(7).collect::<Vec<_>>(), [7]);
    }
}

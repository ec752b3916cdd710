//! Reading a source's delta: the change rows that the active snapshot shows and a frontier has not
//! consumed, consolidated.
//!
//! Rows go to the result as they are read. Only if some image occurred twice is the result copied
//! once more, with the weights of equal images summed and zeros dropped. What is kept in memory per
//! row is a number, and per image a hash and a weight; the rows themselves spill to disk.

use super::CaptureError;
use super::buffer::{self, WEIGHT};
use crate::error::Result;
use crate::frontier::Frontier;
use crate::image::{self, ImageMap, ImageType};
use crate::pg::change_scan::ChangeScan;
use crate::pg::relation::Relation;
use crate::pg::tupdesc::{Column, OwnTupleDesc, attributes};
use crate::pg::tuplestore::TupleStore;
use pgrx::pg_sys;

/// The changes of one source between a frontier and the active snapshot.
#[derive(Debug)]
pub struct SourceDelta {
    /// The columns that were asked for, `a<attnum>`, then `__pgt_w`. Each image once, weight not 0.
    pub store: TupleStore,
    /// Rows in it.
    pub rows: u64,
    /// Change rows read, before consolidation.
    pub raw_rows: u64,
    /// The changes do not tell the whole story (a TRUNCATE): recompute. `rows` is 0 then.
    pub recompute: bool,
}

/// Reads the changes of `source` in the columns `attnums` that `frontier` has not consumed. The
/// result lives in `context`. The buffer stays locked against removal until the transaction ends.
pub fn read_delta(
    source: pg_sys::Oid,
    attnums: &[i16],
    frontier: &Frontier,
    context: pg_sys::MemoryContext,
) -> Result<SourceDelta> {
    let lockmode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    let not_captured = || CaptureError::NotCaptured(source.to_u32().to_string());
    let found = buffer::find(source)?.ok_or_else(not_captured)?;
    let changes = Relation::try_open(found, lockmode).ok_or_else(not_captured)?;
    let positions = buffer::positions(&changes, attnums)?;
    let mut delta = Consolidation::new(&changes, &positions, context)?;
    if changes.blocks() > 0 {
        let mut scan = ChangeScan::begin(&changes, frontier.first_unconsumed())?;
        while let Some((values, nulls)) = scan.next(|xid, epoch| !frontier.consumes(xid, epoch)) {
            if !delta.add(values, nulls) {
                break;
            }
        }
    }
    Ok(delta.finish())
}

struct Consolidation {
    context: pg_sys::MemoryContext,
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
    fn new(
        changes: &Relation,
        positions: &[usize],
        context: pg_sys::MemoryContext,
    ) -> Result<Self> {
        // SAFETY: the buffer is open.
        let all = unsafe { attributes(changes.tuple_desc()) };
        let captured: Vec<_> = positions.iter().filter_map(|&at| all.get(at)).collect();
        let mut columns: Vec<Column> = captured.iter().map(|a| Column::from(*a)).collect();
        columns.push(Column {
            name: "__pgt_w".into(),
            type_oid: pg_sys::INT4OID,
            typmod: -1,
            collation: pg_sys::InvalidOid,
        });
        let desc = OwnTupleDesc::build(context, &columns)?;
        Ok(Consolidation {
            context,
            positions: positions.to_vec(),
            types: captured.iter().map(|a| ImageType::from(*a)).collect(),
            values: vec![pg_sys::Datum::from(0); columns.len()],
            nulls: vec![false; columns.len()],
            store: TupleStore::new(context, desc.as_ptr()),
            numbers: ImageMap::default(),
            weights: Vec::new(),
            images: Vec::new(),
            recompute: false,
        })
    }

    /// Adds a change row; false if no more are needed, because all is to be recomputed.
    fn add(&mut self, values: &[pg_sys::Datum], nulls: &[bool]) -> bool {
        let Some(weight) = values.get(WEIGHT).copied() else {
            return false;
        };
        let weight_value = weight.value() as i32;
        if weight_value == 0 {
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
            *last = weight;
        }
        let hash = image::hash128(&self.values, &self.nulls, self.types.iter().copied());
        let next = self.weights.len() as u32;
        let number = *self.numbers.entry(hash).or_insert(next);
        match self.weights.get_mut(number as usize) {
            Some(sum) => *sum += i64::from(weight_value),
            None => self.weights.push(i64::from(weight_value)),
        }
        self.images.push(number);
        self.store.put_values(&self.values, &self.nulls);
        true
    }

    fn finish(mut self) -> SourceDelta {
        let raw_rows = self.images.len() as u64;
        if self.recompute {
            let store = TupleStore::new(self.context, self.store.tuple_desc());
            return SourceDelta {
                store,
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
            store: self.store,
            raw_rows,
            recompute: false,
        }
    }

    /// The rows once per image, with their summed weights.
    fn consolidated(&mut self) -> TupleStore {
        let mut result = TupleStore::new(self.context, self.store.tuple_desc());
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
            if let Some(last) = self.values.last_mut() {
                *last = pg_sys::Datum::from(weight.clamp(i32::MIN.into(), i32::MAX.into()) as i32);
            }
            result.put_values(&self.values, &self.nulls);
        }
        drop(rows);
        result
    }
}

//! The changes of a node that its readers see. Rows that differ only in unread columns cancel out, as do
//! those of groups whose values stay the same, so invisible changes propagate no further.
//!
//! Cost: a hash per row of the delta; a copy of it where something cancels out.

use crate::cdc::weighted::{self, RowSum, WeightColumn};
use crate::pg::image;
use crate::pg::memory::MemoryContext;
use crate::pg::row::OwnedRow;
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;

/// The delta of a node of which the columns at the positions `read` are read.
pub fn by_readers(delta: TupleStore, read: &[usize], memory: &MemoryContext) -> TupleStore {
    if delta.count() < 2 {
        return delta;
    }
    let desc = delta.tuple_desc();
    let weights = WeightColumn::of(desc);
    let all = attributes(desc);
    let mut sum = RowSum::default();
    let mut scan = delta.scan();
    while let Some(slot) = scan.next() {
        let row = slot.row();
        let seen = OwnedRow::columns_of(row, read);
        let types = read.iter().filter_map(|at| all.get(*at));
        sum.add(image::hash128(seen.row(), types), weights.read(row));
    }
    drop(scan);
    if sum.is_consolidated() {
        return delta;
    }
    let mut result = TupleStore::new(memory.as_ptr(), desc);
    let mut scan = delta.scan();
    for weight in sum.into_weights() {
        let Some(slot) = scan.next() else { break };
        if !weight.is_zero() {
            weighted::put(&mut result, slot.row().without_last(), weight);
        }
    }
    drop(scan);
    result
}

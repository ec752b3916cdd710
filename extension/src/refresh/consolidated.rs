//! A step's rows, each image once: the input of a join step must not grow with the steps before it.
//!
//! Memory: a number per row, a hash and a weight per image; the rows themselves spill to disk.

use crate::cdc::weighted::{self, RowSum, WeightColumn};
use crate::pg::image::{self, ImageType};
use crate::pg::memory::MemoryContext;
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;

/// The store with the weights, in its last column (`int4` or `int8`), of rows of one image summed, and without
/// those that cancel.
pub fn consolidated(store: TupleStore, memory: &MemoryContext) -> TupleStore {
    if store.count() < 2 {
        return store;
    }
    let Some((_, columns)) = attributes(store.tuple_desc()).split_last() else {
        return store;
    };
    let types: Vec<ImageType> = columns.iter().map(ImageType::from).collect();
    let weight = WeightColumn::of(store.tuple_desc());
    let mut sum = RowSum::default();
    let mut scan = store.scan();
    while let Some(slot) = scan.next() {
        let row = slot.row();
        let hash = image::hash128(row, types.iter().copied());
        sum.add(hash, weight.read(row));
    }
    drop(scan);
    if sum.is_consolidated() {
        return store;
    }
    let mut result = TupleStore::new(memory.as_ptr(), store.tuple_desc());
    let mut scan = store.scan();
    for weight in sum.into_weights() {
        let Some(slot) = scan.next() else { break };
        pgrx::check_for_interrupts!();
        weighted::put(&mut result, slot.row().without_last(), weight);
    }
    result
}

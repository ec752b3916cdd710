//! A step's rows, each image once: what the next step of a join reads must not grow with the steps before it.
//!
//! Memory: a number per row, a hash and a weight per image; the rows themselves spill to disk.

use pgrx::pg_sys;

use crate::pg::image::{self, ImageMap, ImageType};
use crate::pg::memory::MemoryContext;
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;

/// The store with the weights, in its last column (`int4` or `int8`), of rows of one image summed, and without
/// those that cancel.
pub fn consolidated(store: TupleStore, memory: &MemoryContext) -> TupleStore {
    if store.count() < 2 {
        return store;
    }
    let columns = attributes(store.tuple_desc());
    let Some((weight_column, columns)) = columns.split_last() else {
        return store;
    };
    let is_wide = weight_column.atttypid == pg_sys::INT8OID;
    let types: Vec<ImageType> = columns.iter().map(ImageType::from).collect();
    let mut numbers: ImageMap<usize> = ImageMap::default();
    let mut weights: Vec<i64> = Vec::new();
    let mut images: Vec<usize> = Vec::new();
    let mut scan = store.scan();
    while let Some(slot) = scan.next() {
        let (values, nulls) = slot.values();
        let weight = values.last().map_or(0, |weight| match is_wide {
            true => weight.value() as i64,
            false => i64::from(weight.value() as i32),
        });
        let hash = image::hash128(values, nulls, types.iter().copied());
        let number = *numbers.entry(hash).or_insert(weights.len());
        match weights.get_mut(number) {
            Some(sum) => *sum += weight,
            None => weights.push(weight),
        }
        images.push(number);
    }
    drop(scan);
    if weights.len() == images.len() {
        return store;
    }
    let mut result = TupleStore::new(memory.as_ptr(), store.tuple_desc());
    let mut scan = store.scan();
    for number in images {
        let Some(slot) = scan.next() else { break };
        pgrx::check_for_interrupts!();
        // Taken, so that later rows of the same image find 0.
        let mut left = weights.get_mut(number).map_or(0, std::mem::take);
        let (values, nulls) = slot.values();
        let row = values.get(..types.len()).unwrap_or_default();
        let row_nulls = nulls.get(..types.len()).unwrap_or_default();
        while left != 0 {
            let part = match is_wide {
                true => left,
                false => left.clamp(i32::MIN.into(), i32::MAX.into()),
            };
            left -= part;
            result.put_weighted(row, row_nulls, part);
        }
    }
    result
}

//! Rows with a weight in their last column, and the sums of weights per image.

use pgrx::pg_sys;
use pgtrickle_dvm::weight::Weight;

use crate::pg::image::ImageMap;
use crate::pg::row::Row;
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;

/// The last column of a row type: an `int4`, or an `int8` where terms multiply weights.
#[derive(Debug, Clone, Copy)]
pub struct WeightColumn {
    is_wide: bool,
}

impl WeightColumn {
    /// That of rows of this type.
    pub fn of(desc: pg_sys::TupleDesc) -> Self {
        let last = attributes(desc).last();
        WeightColumn {
            is_wide: last.is_some_and(|column| column.atttypid == pg_sys::INT8OID),
        }
    }

    /// The weight of a row.
    pub fn read(self, row: Row<'_>) -> Weight {
        row.values
            .last()
            .map_or(Weight::ZERO, |value| match self.is_wide {
                true => Weight::of(value.value() as i64),
                false => Weight::from(value.value() as i32),
            })
    }
}

/// Appends a row with its weight, in as many rows as the column needs for it.
pub fn put(store: &mut TupleStore, row: Row<'_>, weight: Weight) {
    match WeightColumn::of(store.tuple_desc()).is_wide {
        true if weight.is_zero() => {}
        true => store.put_weighted(row, weight.rows()),
        false => (weight.parts()).for_each(|part| store.put_weighted(row, part.into())),
    }
}

/// The weights of rows, summed by image.
///
/// Memory: a number per row, and per image a hash and a weight.
#[derive(Debug, Default)]
pub struct RowSum {
    /// The number of each image, in order of appearance.
    numbers: ImageMap<u32>,
    /// The weight of each image, by number.
    weights: Vec<Weight>,
    /// The number of each row's image.
    rows: Vec<u32>,
}

impl RowSum {
    /// Adds the next row, by the hash of its image.
    pub fn add(&mut self, image: u128, weight: Weight) {
        let next = self.weights.len() as u32;
        let number = *self.numbers.entry(image).or_insert(next);
        match self.weights.get_mut(number as usize) {
            Some(sum) => *sum += weight,
            None => self.weights.push(weight),
        }
        self.rows.push(number);
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Whether each image is there once.
    pub fn is_consolidated(&self) -> bool {
        self.weights.len() == self.rows.len()
    }

    /// For each row, in order, what is to become of it: the first of an image has the weight of all, later ones none.
    pub fn into_weights(self) -> impl Iterator<Item = Weight> {
        let mut weights = self.weights;
        let rows = self.rows.into_iter();
        rows.map(move |number| {
            let weight = weights.get_mut(number as usize);
            weight.map_or(Weight::ZERO, std::mem::take)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::RowSum;
    use pgtrickle_dvm::weight::Weight;

    #[test]
    fn the_first_row_of_an_image_has_the_weight_of_all() {
        let mut sum = RowSum::default();
        for (image, weight) in [(7, 1), (8, 2), (7, 3), (9, 1), (9, -1)] {
            sum.add(image, Weight::of(weight));
        }
        assert!(!sum.is_consolidated());
        assert_eq!(sum.rows(), 5);
        let weights: Vec<i64> = sum.into_weights().map(Weight::rows).collect();
        assert_eq!(weights, [4, 2, 0, 0, 0]);
    }
}

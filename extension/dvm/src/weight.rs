//! How many times a row is added or removed: the integer of a Z-set.
//!
//! Weights form a commutative group under addition, with 0 for no change: the order and grouping of additions do not
//! matter. A column of a delta holds an `int4`; greater weights are split here.

use std::iter::Sum;
use std::ops::{AddAssign, Neg};

/// A weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Weight(i64);

impl Weight {
    /// A row that does not change.
    pub const ZERO: Weight = Weight(0);
    /// A row that comes.
    pub const ONE: Weight = Weight(1);
    /// The least that a column holds as a weight: what is less says something else, as the change buffer's markers do.
    pub const LEAST_PART: i32 = i32::MIN + 2;

    /// Of so many rows.
    pub const fn of(rows: i64) -> Self {
        Weight(rows)
    }

    /// How many rows come, or, if negative, go.
    pub const fn rows(self) -> i64 {
        self.0
    }

    /// Whether rows neither come nor go.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// What a column of `int4` holds of it, in as many rows as are needed: one, but for two thousand million rows alike,
    /// and none for zero.
    pub fn parts(self) -> impl Iterator<Item = i32> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let part = left.clamp(Self::LEAST_PART.into(), i32::MAX.into()) as i32;
            left -= i64::from(part);
            (part != 0).then_some(part)
        })
    }
}

impl From<i32> for Weight {
    fn from(rows: i32) -> Self {
        Weight(rows.into())
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sum for Weight {
    fn sum<I: Iterator<Item = Self>>(weights: I) -> Self {
        weights.fold(Weight::ZERO, |mut sum, weight| {
            sum += weight;
            sum
        })
    }
}

impl Neg for Weight {
    type Output = Self;

    fn neg(self) -> Self {
        Weight(-self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(weights: &[Weight]) -> Weight {
        weights.iter().copied().sum()
    }

    fn weights() -> impl Strategy<Value = Vec<Weight>> {
        let one = -(1_i64 << 40)..(1_i64 << 40);
        prop::collection::vec(one.prop_map(Weight::of), 0..12)
    }

    proptest! {
        #[test]
        fn sums_do_not_depend_on_order_or_grouping(all in weights(), at in 0_usize..12) {
            let mut reversed = all.clone();
            reversed.reverse();
            prop_assert_eq!(sum(&all), sum(&reversed));
            let (some, rest) = all.split_at(at.min(all.len()));
            prop_assert_eq!(sum(&all), sum(&[sum(some), sum(rest)]));
        }

        #[test]
        fn what_came_and_went_is_no_change(all in weights()) {
            let gone: Vec<Weight> = all.iter().map(|weight| -*weight).collect();
            prop_assert!(sum(&[sum(&all), sum(&gone)]).is_zero());
            prop_assert_eq!(-sum(&all), sum(&gone));
        }

        #[test]
        fn nothing_of_a_weight_is_lost_in_parts(rows in -(1_i64 << 36)..(1_i64 << 36)) {
            let parts: Vec<i32> = Weight::of(rows).parts().collect();
            prop_assert_eq!(parts.iter().copied().map(Weight::from).sum::<Weight>(), Weight::of(rows));
            prop_assert!(parts.iter().all(|part| i64::from(*part).signum() == rows.signum()));
            let least = rows.unsigned_abs().div_ceil(1 << 31);
            prop_assert!(parts.len() as u64 >= least && parts.len() as u64 <= least + 1);
        }
    }

    #[test]
    fn a_weight_that_fits_the_column_is_one_part() {
        for rows in [1, -1, i32::MAX, Weight::LEAST_PART] {
            assert_eq!(Weight::from(rows).parts().collect::<Vec<_>>(), [rows]);
        }
        assert_eq!(Weight::ZERO.parts().count(), 0);
    }
}

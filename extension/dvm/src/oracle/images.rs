//! Subqueries that are computed whole, and bounds that move, among joins and below groupings.

use proptest::prelude::*;

use super::joins::{numbers, replay_joined, replay_query};
use super::queries::Draw;

fn start(numbers: &[u16]) -> Draw<'_> {
    Draw::new(numbers).with_images()
}

/// A linear query.
pub fn replay(numbers: &[u16], scans: usize, inline_limit: usize) {
    replay_joined(numbers, start, scans, inline_limit);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn oracle_images_and_bounds(numbers in numbers(), scans in 1_usize..4, limit in 1_usize..9) {
        replay(&numbers, scans, limit);
    }

    #[test]
    fn oracle_groupings_over_images_and_bounds(numbers in numbers(), limit in 1_usize..9) {
        replay_query(&numbers, start, Draw::nested, 4, limit);
    }

    #[test]
    fn oracle_outer_joins_of_images(numbers in numbers(), limit in 1_usize..9) {
        let start = |numbers| Draw::new(numbers).with_images().with_outer_joins();
        replay_query(&numbers, start, |draw| draw.joined_and_selected(3), 4, limit);
    }
}

//! Outer joins among inner ones, alone and below groupings.

use proptest::prelude::*;

use super::joins::{numbers, replay_joined, replay_query};
use super::queries::Draw;
use crate::tree::testing::join;

fn start(numbers: &[u16]) -> Draw<'_> {
    Draw::new(numbers).with_outer_joins()
}

/// Refreshes a join of so many scans, some of them outer; the simulation compares each time.
pub fn replay(numbers: &[u16], scans: usize, inline_limit: usize) {
    replay_joined(numbers, start, scans, inline_limit);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn oracle_outer_joins(numbers in numbers(), scans in 2_usize..5, limit in 1_usize..9) {
        replay(&numbers, scans, limit);
    }

    #[test]
    fn oracle_outer_joins_of_joins(numbers in numbers(), limit in 1_usize..9) {
        let query = |draw: &mut Draw<'_>| {
            let (left, right) = (draw.joined(2), draw.joined(2));
            let relation = draw.left_joined(left, right);
            draw.selected(relation)
        };
        replay_query(&numbers, start, query, 4, limit);
    }

    #[test]
    fn oracle_outer_joins_and_groupings(numbers in numbers(), limit in 1_usize..9) {
        replay_query(&numbers, start, |draw| {
            let left = draw.nested();
            let right = draw.nested();
            let relation = draw.left_joined(left, right);
            draw.selected(relation)
        }, 4, limit);
    }

    #[test]
    fn oracle_groupings_over_outer_joins(numbers in numbers(), limit in 1_usize..9) {
        replay_query(&numbers, start, Draw::nested, 4, limit);
    }

    #[test]
    fn oracle_full_joins(numbers in numbers(), sides in 2_usize..4, limit in 1_usize..9) {
        let query = |draw: &mut Draw<'_>| {
            let mut relation = draw.joined(1);
            for _ in 1..sides {
                let (scans, is_left) = (1 + draw.below(2), draw.one_in(3));
                let other = draw.joined(scans);
                relation = match is_left {
                    true => draw.full_joined(other, relation),
                    false => draw.full_joined(relation, other),
                };
            }
            draw.selected(relation)
        };
        replay_query(&numbers, start, query, 3, limit);
    }

    #[test]
    fn oracle_joins_of_unions(numbers in numbers(), sides in 3_usize..5, limit in 1_usize..9) {
        let query = |draw: &mut Draw<'_>| {
            let mut relation = None;
            for _ in 0..sides {
                let (left, right) = (draw.joined(1), draw.joined(1));
                let union = draw.united(left, right);
                relation = Some(match relation {
                    None => union,
                    Some(relation) if draw.one_in(3) => draw.left_joined(relation, union),
                    Some(relation) => {
                        let predicates = draw.link(&relation, &union);
                        join(relation, union, predicates)
                    }
                });
            }
            draw.selected(relation.expect("there are sides"))
        };
        replay_query(&numbers, start, query, 3, limit);
    }
}

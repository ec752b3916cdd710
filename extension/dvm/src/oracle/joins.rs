//! Linear queries: joins of one to seven relations, self-joins, filters, bag unions.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::engine::Sqlite;
use super::queries::Draw;
use super::refresh::Simulation;
use crate::tree::Relation;

/// What queries, tables and changes are drawn from.
pub fn numbers() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(0_u16..1000, 0..400)
}

fn linear(draw: &mut Draw<'_>, scans: usize) -> Relation {
    let relation = draw.joined(scans);
    let relation = if scans < 3 {
        let other = draw.joined(2);
        draw.united(relation, other)
    } else {
        relation
    };
    draw.selected(relation)
}

/// Refreshes three times; the simulation compares each time.
pub fn replay(numbers: &[u16], scans: usize, rows_max: usize, inline_limit: usize) {
    let query = |draw: &mut Draw<'_>| linear(draw, scans);
    replay_query(numbers, Draw::new, query, rows_max, inline_limit);
}

/// A join of so many scans, drawn as `start` has it.
pub fn replay_joined<'n>(
    numbers: &'n [u16],
    start: impl Fn(&'n [u16]) -> Draw<'n>,
    scans: usize,
    inline_limit: usize,
) {
    let query = |draw: &mut Draw<'n>| draw.joined_and_selected(scans);
    replay_query(numbers, start, query, 4, inline_limit);
}

/// Draws tables, three changes and a query from the numbers, and refreshes after each change.
pub fn replay_query<'n>(
    numbers: &'n [u16],
    start: impl Fn(&'n [u16]) -> Draw<'n>,
    query: impl Fn(&mut Draw<'n>) -> Relation,
    rows_max: usize,
    inline_limit: usize,
) {
    let mut draw = start(numbers);
    let tables = draw.tables(rows_max);
    let mut present = tables.clone();
    let steps: Vec<_> = (0..3)
        .map(|_| {
            let changes = draw.changes(&present, rows_max);
            present.extend(changes.clone());
            changes
        })
        .collect();
    let relation = query(&mut draw);
    let mut engine = Sqlite::new();
    let mut simulation = Simulation::new(&mut engine, &relation, &tables, inline_limit);
    for changes in &steps {
        simulation.refresh(changes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn oracle_small_joins(numbers in numbers(), scans in 1_usize..4, limit in 1_usize..9) {
        replay(&numbers, scans, 4, limit);
    }

    #[test]
    fn differential_prefix_form_equals_inlined_terms(
        numbers in numbers(), scans in 2_usize..5,
    ) {
        let mut draw = Draw::new(&numbers);
        let tables = draw.tables(4);
        let changes = draw.changes(&tables, 4);
        let relation = linear(&mut draw, scans);
        let content = |limit: usize| {
            let mut engine = Sqlite::new();
            let mut simulation = Simulation::new(&mut engine, &relation, &tables, limit);
            simulation.refresh(&changes);
            simulation.content()
        };
        prop_assert_eq!(content(1), content(8));
    }

    #[test]
    fn differential_changes_and_their_reverse_cancel(numbers in numbers(), scans in 1_usize..4) {
        let mut draw = Draw::new(&numbers);
        let tables = draw.tables(4);
        let changes = draw.changes(&tables, 4);
        let relation = linear(&mut draw, scans);
        let mut engine = Sqlite::new();
        let mut simulation = Simulation::new(&mut engine, &relation, &tables, 5);
        let before = simulation.content();
        simulation.refresh(&changes);
        simulation.refresh(&tables);
        prop_assert_eq!(simulation.content(), before);
    }

    #[test]
    fn differential_small_steps_equal_one_large(numbers in numbers(), scans in 1_usize..4) {
        let mut draw = Draw::new(&numbers);
        let tables = draw.tables(4);
        let first = draw.changes(&tables, 4);
        let mut between = tables.clone();
        between.extend(first.clone());
        let second = draw.changes(&between, 4);
        let mut both = first.clone();
        both.extend(second.clone());
        let relation = linear(&mut draw, scans);
        let content = |steps: &[&BTreeMap<u32, super::tables::Rows>]| {
            let mut engine = Sqlite::new();
            let mut simulation = Simulation::new(&mut engine, &relation, &tables, 5);
            for step in steps {
                simulation.refresh(step);
            }
            simulation.content()
        };
        prop_assert_eq!(content(&[&first, &second]), content(&[&both]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn oracle_large_joins(numbers in numbers(), scans in 4_usize..8, limit in 1_usize..9) {
        replay(&numbers, scans, 2, limit);
    }
}

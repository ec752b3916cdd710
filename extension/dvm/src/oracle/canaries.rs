//! The oracle's own proof: each seeded bug of the rules must make it fail.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::engine::{Engine, Postgres, Sqlite};
use super::queries::Draw;
use super::refresh::Simulation;
use super::{aggregates, images, joins, outer_joins, partitions, recursion, subqueries};
use crate::canary::{self, Bug};
use crate::tree::AggregateKind;
use crate::tree::testing::{aggregate, group, numeric, scan};

/// Whether one of so many random refreshes is wrong under the bug.
fn caught(bug: Bug, cases: usize, case: &dyn Fn(&[u16])) -> bool {
    let mut runner = TestRunner::deterministic();
    let strategy = proptest::collection::vec(0_u16..1000, 0..600);
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    canary::set(Some(bug));
    let wrong = (0..cases).any(|_| {
        let numbers = strategy.new_tree(&mut runner).expect("numbers").current();
        catch_unwind(AssertUnwindSafe(|| case(&numbers))).is_err()
    });
    canary::set(None);
    std::panic::set_hook(quiet);
    wrong
}

fn grouping(engine: &mut dyn Engine, draw: Draw<'_>) {
    aggregates::replay(engine, draw, 5);
}

#[test]
fn oracle_catches_each_seeded_bug_of_the_joins() {
    for bug in [
        canary::WRONG_SIGN,
        canary::MISSING_CORRECTION_TERM,
        canary::LOST_DUPLICATE,
        canary::SELF_JOIN_ONCE,
    ] {
        for limit in [1, 5] {
            let join = |numbers: &[u16]| joins::replay(numbers, 3, 4, limit);
            assert!(caught(bug, 200, &join), "{bug} was missed");
        }
    }
}

#[test]
fn oracle_catches_each_seeded_bug_of_the_subqueries() {
    for bug in [canary::EMPTY_GROUP_FORGOTTEN, canary::UNKNOWN_IS_FALSE] {
        let query = |numbers: &[u16]| subqueries::replay(numbers, 4);
        assert!(caught(bug, 400, &query), "{bug} was missed");
    }
}

#[test]
fn oracle_catches_each_seeded_bug_of_the_outer_joins() {
    for limit in [1, 5] {
        let join = |numbers: &[u16]| outer_joins::replay(numbers, 3, limit);
        assert!(caught(canary::PADDING_STAYS, 200, &join));
    }
}

#[test]
fn oracle_catches_each_seeded_bug_of_the_partitions() {
    for bug in [
        canary::FIRST_ROWS_STAY,
        canary::LEFT_PARTITION_STAYS,
        canary::TIES_CUT_OFF,
        canary::REACH_CUT_SHORT,
        canary::CARRY_FORGOTTEN,
    ] {
        let case = |numbers: &[u16]| partitions::replay(numbers, 5);
        assert!(caught(bug, 400, &case), "{bug} was missed");
    }
}

#[test]
fn oracle_catches_a_bound_that_stands_still() {
    let case = |numbers: &[u16]| images::replay(numbers, 2, 5);
    for bug in [canary::BOUND_STANDS_STILL, canary::CONDITION_STAYS] {
        assert!(caught(bug, 200, &case), "{bug} was missed");
    }
}

#[test]
fn oracle_catches_a_forgotten_rederivation() {
    let bug = canary::REDERIVATION_FORGOTTEN;
    assert!(caught(bug, 400, &recursion::replay), "{bug} was missed");
}

#[test]
fn oracle_catches_each_seeded_bug_of_the_groupings() {
    for bug in [
        canary::DROPPED_NULL_GROUP,
        canary::STALE_EXTREMUM,
        canary::GROUP_NEVER_DIES,
        canary::AVG_IGNORES_NULLS,
        canary::LOST_DUPLICATE,
    ] {
        let case = |numbers: &[u16]| grouping(&mut Sqlite::new(), Draw::new(numbers));
        assert!(caught(bug, 300, &case), "{bug} was missed");
    }
}

/// Random inputs rarely lose just the input with the most digits.
#[test]
#[ignore = "set PGT_PSQL to a command line of psql"]
fn oracle_catches_forgotten_scales_in_postgres() {
    let argument = "(('{1.50,2}'::numeric[])[$12])";
    let mut sum = aggregate(22, AggregateKind::SumNumeric { scale: None }, argument);
    if let Some(argument) = &mut sum.argument {
        argument.ty = numeric();
    }
    let relation = group(scan(1, 10, "r"), &[(21, "g", "$11")], vec![sum]);
    let row = |index| vec![Some(7), Some(index), None];
    let refresh = || {
        let mut engine = Postgres::new().expect("PGT_PSQL is set");
        let tables = BTreeMap::from([(1, vec![row(1), row(2)])]);
        let mut simulation = Simulation::new(&mut engine, &relation, &tables, 5);
        simulation.refresh(&BTreeMap::from([(1, vec![row(2)])]));
    };
    refresh();
    assert!(caught(canary::SCALE_FORGOTTEN, 1, &|_| refresh()));
}

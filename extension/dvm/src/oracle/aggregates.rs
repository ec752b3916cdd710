//! Groupings: with and without keys, nested, joined, over bag unions, with HAVING and DISTINCT.

use proptest::prelude::*;

use super::engine::{Engine, Postgres, Sqlite};
use super::queries::Draw;
use super::refresh::Simulation;

pub fn replay(engine: &mut dyn Engine, mut draw: Draw<'_>, inline_limit: usize) {
    let relation = draw.nested();
    let mut tables = draw.tables(8);
    let mut simulation = Simulation::new(engine, &relation, &tables, inline_limit);
    for _ in 0..3 {
        let changes = draw.changes(&tables, 8);
        tables.extend(changes.clone());
        simulation.refresh(&changes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn oracle_groupings(numbers in prop::collection::vec(0_u16..1000, 0..600), limit in 1_usize..6) {
        replay(&mut Sqlite::new(), Draw::new(&numbers), limit);
    }
}

#[test]
#[ignore = "set PGT_PSQL to a command line of psql"]
fn oracle_groupings_in_postgres() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(120));
    let numbers = prop::collection::vec(0_u16..1000, 0..600);
    let result = runner.run(&(numbers, 1_usize..6), |(numbers, limit)| {
        let mut engine = Postgres::new().expect("PGT_PSQL is set");
        replay(&mut engine, Draw::new(&numbers).with_numeric(), limit);
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
}

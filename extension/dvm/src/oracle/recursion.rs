//! Recursion maintained by deltas, round by round as the extension executes it natively.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::operators::script::{ImageStage, Statement};
use crate::plan::{Image, Source};
use crate::sql::image_table;
use crate::sql::names::{TOUCHED, WEIGHT, column, delta as delta_name, key};
use crate::tree::Relation;
use crate::tree::testing::{condition, distinct, equal, filter, join, opaque, project, scan};

use super::engine::Sqlite;
use super::joins::{numbers, replay_query};
use super::queries::Draw;
use super::refresh::{STATE, Simulation, insert};
use super::tables::TABLES;

type Row = Vec<Option<i64>>;
type Weights = BTreeMap<Row, i64>;

impl Simulation<'_> {
    /// Brings the image of a recursion up to date and writes down how it changed.
    pub(super) fn recur(&mut self, stage: ImageStage<'_>, changed: &BTreeSet<Source>) -> bool {
        let tables = changed.iter().copied();
        let tables = tables.filter(|source| matches!(source, Source::Table(_)));
        let changed: BTreeSet<Source> = tables.collect();
        let image = stage.image;
        let delta = match is_distinct(stage) {
            true => self.delete_and_rederive(stage, &changed),
            false => self.count_derivations(stage, &changed),
        };
        let width = image.opaque.columns.len();
        self.write(&delta_name(stage.source()), width, &delta);
        !delta.is_empty()
    }

    fn count_derivations(&mut self, stage: ImageStage<'_>, changed: &BTreeSet<Source>) -> Weights {
        let mut round = self.changes(stage, changed);
        let came = self.part(changed, ">");
        let by_those = self.changes(stage, &came);
        add(
            &mut round,
            by_those.into_iter().map(|(row, weight)| (row, -weight)),
        );
        let mut total = Weights::new();
        while !round.is_empty() {
            let next = self.step(stage, &came, &round);
            add(&mut total, std::mem::replace(&mut round, next));
        }
        self.apply(stage.image, &total);

        let mut round = self.changes(stage, &came);
        self.whole(changed);
        let mut found = Weights::new();
        while !round.is_empty() {
            let next = self.step(stage, &BTreeSet::new(), &round);
            add(&mut found, std::mem::replace(&mut round, next));
        }
        self.apply(stage.image, &found);
        add(&mut total, found);
        total
    }

    fn delete_and_rederive(
        &mut self,
        stage: ImageStage<'_>,
        changed: &BTreeSet<Source>,
    ) -> Weights {
        let mut stored = self.stored(stage.image);
        let mut lost = Weights::new();
        let gone = self.part(changed, "<");
        let mut round = self.changes(stage, &gone);
        self.whole(changed);
        loop {
            round.retain(|row, _| stored.contains_key(row) && !lost.contains_key(row));
            if round.is_empty() {
                break;
            }
            lost.extend(round.keys().map(|row| (row.clone(), -1)));
            round = self.step(stage, &BTreeSet::new(), &round);
        }
        stored.retain(|row, _| !lost.contains_key(row));
        self.apply(stage.image, &lost);

        let mut found = Weights::new();
        let came = self.part(changed, ">");
        let mut round = self.changes(stage, &came);
        self.whole(changed);
        let again = self.rederived(stage, &lost);
        round.extend(again);
        loop {
            round.retain(|row, _| !stored.contains_key(row) && !found.contains_key(row));
            if round.is_empty() {
                break;
            }
            found.extend(round.keys().map(|row| (row.clone(), 1)));
            round = self.step(stage, &BTreeSet::new(), &round);
        }
        self.apply(stage.image, &found);
        add(&mut lost, found);
        lost
    }

    fn changes(&mut self, stage: ImageStage<'_>, changed: &BTreeSet<Source>) -> Weights {
        self.run(stage, &Statement::Derived, changed)
    }

    /// What a statement derives: rows of a set count once.
    fn run(
        &mut self,
        stage: ImageStage<'_>,
        statement: &Statement,
        changed: &BTreeSet<Source>,
    ) -> Weights {
        match stage.sql(self.context(), statement, changed) {
            Some(sql) if is_distinct(stage) => self.derived(&sql),
            Some(sql) => self.weights(&sql),
            None => Weights::new(),
        }
    }

    /// Leaves the rows of one sign in the deltas; those that have any.
    fn part(&mut self, changed: &BTreeSet<Source>, sign: &str) -> BTreeSet<Source> {
        for source in changed {
            let name = delta_name(*source);
            self.table(&format!("whole{name}"), &format!("SELECT * FROM {name}"));
            self.engine
                .run(&format!("DELETE FROM {name} WHERE NOT {WEIGHT} {sign} 0"));
        }
        let mut left = changed.clone();
        left.retain(|source| {
            let rows = format!("SELECT 1 FROM {}", delta_name(*source));
            !self.engine.rows(&rows).is_empty()
        });
        left
    }

    /// Undoes [`Self::part`].
    fn whole(&mut self, changed: &BTreeSet<Source>) {
        for source in changed {
            let name = delta_name(*source);
            self.table(&name, &format!("SELECT * FROM whole{name}"));
        }
    }

    fn rederived(&mut self, stage: ImageStage<'_>, lost: &Weights) -> Weights {
        let mut masks: BTreeMap<Vec<bool>, Vec<Row>> = BTreeMap::new();
        for row in lost.keys() {
            let mask = row.iter().map(Option::is_none).collect();
            masks.entry(mask).or_default().push(row.clone());
        }
        let mut again = Weights::new();
        for (mask, rows) in masks {
            let keys: Vec<String> = (0..stage.image.opaque.columns.len())
                .map(|position| format!("{} integer", key(position)))
                .collect();
            self.engine.run(&format!("DROP TABLE IF EXISTS {TOUCHED}"));
            self.engine.run(&format!(
                "CREATE TEMP TABLE {TOUCHED} ({})",
                keys.join(", ")
            ));
            insert(self.engine, TOUCHED, &rows, None);
            again.extend(self.run(stage, &Statement::Rederived(mask), &BTreeSet::new()));
        }
        again
    }

    fn step(&mut self, stage: ImageStage<'_>, came: &BTreeSet<Source>, round: &Weights) -> Weights {
        let width = stage.image.opaque.columns.len();
        self.write(&delta_name(stage.source()), width, round);
        self.run(stage, &Statement::Round, came)
    }

    fn stored(&mut self, image: &Image) -> Weights {
        self.weights(&format!(
            "SELECT *, 1 FROM {}",
            image_table(STATE, image.id)
        ))
    }

    fn apply(&mut self, image: &Image, delta: &Weights) {
        let mut stored = self.stored(image);
        add(&mut stored, delta.clone());
        let name = image_table(STATE, image.id);
        self.engine.run(&format!("DELETE FROM {name}"));
        for (row, weight) in &stored {
            assert!(*weight > 0, "a row that is not there leaves {name}");
            for _ in 0..*weight {
                insert(self.engine, &name, std::slice::from_ref(row), None);
            }
        }
    }

    fn write(&mut self, name: &str, width: usize, rows: &Weights) {
        let columns: Vec<String> = (0..width)
            .map(|position| format!("{} integer, ", column(position)))
            .collect();
        self.engine.run(&format!("DROP TABLE IF EXISTS {name}"));
        self.engine.run(&format!(
            "CREATE TEMP TABLE {name} ({}{WEIGHT} integer)",
            columns.concat()
        ));
        for (row, weight) in rows {
            insert(self.engine, name, std::slice::from_ref(row), Some(*weight));
        }
    }

    /// The rows of a query whose last column is a weight, consolidated.
    pub(super) fn weights(&mut self, sql: &str) -> Weights {
        let mut all = Weights::new();
        for (row, weight) in self.weighed(sql) {
            *all.entry(row).or_default() += weight;
        }
        all.retain(|_, weight| *weight != 0);
        all
    }

    /// The rows of a query whose last column is a weight, each once.
    fn derived(&mut self, sql: &str) -> Weights {
        self.weighed(sql)
            .into_iter()
            .map(|(row, _)| (row, 1))
            .collect()
    }

    fn weighed(&mut self, sql: &str) -> Vec<(Row, i64)> {
        let rows = self.engine.rows(sql).into_iter();
        rows.map(|row| {
            let mut row: Row = row.iter().map(|value| value.parse().ok()).collect();
            let weight = row.pop().flatten().expect("a weight");
            (row, weight)
        })
        .collect()
    }
}

fn is_distinct(stage: ImageStage<'_>) -> bool {
    (stage.image.recursion.as_ref()).is_some_and(|recursion| recursion.distinct)
}

fn add(all: &mut Weights, some: impl IntoIterator<Item = (Row, i64)>) {
    for (row, weight) in some {
        *all.entry(row).or_default() += weight;
    }
    all.retain(|_, weight| *weight != 0);
}

impl Draw<'_> {
    /// A recursion over one or two tables, which ends for any rows.
    pub(super) fn recursion(&mut self) -> Relation {
        let union = self.one_in(2);
        let (first, second) = (self.below(TABLES.len()), self.below(TABLES.len()));
        let ((seed_oid, seed_name), (oid, name)) = (TABLES[first], TABLES[second]);
        let some = ["a = 1", "a < 2", "b IS NULL", "1 = 1"][self.below(4)];
        let link = ["w.x = s.a", "w.x = s.b", "w.x < s.a"][self.below(3)];
        // Without an end UNION ALL would not come to one.
        let (word, n, end) = match union {
            true => (
                "UNION",
                ["s.b", "w.n", "(w.n + 1) % 4"][self.below(3)],
                "1 = 1",
            ),
            false => ("UNION ALL", "(w.n + 1)", "w.n < 2"),
        };
        let start = if union { "b" } else { "0" };
        let query = format!(
            "WITH RECURSIVE w(x, n) AS (SELECT a, {start} FROM {seed_name} WHERE {some} {word} \
             SELECT s.c, {n} FROM w, {name} AS s WHERE {link} AND {end}) SELECT x, n FROM w"
        );
        let text = |sql: &str| {
            let names = [
                ("w.x", "$1"),
                ("w.n", "$2"),
                ("s.a", "$11"),
                ("s.b", "$12"),
                ("s.c", "$13"),
            ];
            names
                .iter()
                .fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to))
        };
        let condition_of = |sql: &str| match text(sql).split_once(" = ") {
            Some((left, right)) if left.starts_with('$') => equal(left, right),
            _ => condition(&format!("({})", text(sql))),
        };
        let rows = Relation::Opaque(opaque(&query, &[(1, "x"), (2, "n")], &[seed_oid, oid]));
        let joined = join(rows, scan(oid, 10, name), vec![condition_of(link)]);
        let joined = filter(joined, vec![condition(&format!("({})", text(end)))]);
        let step = project(
            joined,
            &[(21, "x", "$13"), (22, "n", &format!("({})", text(n)))],
        );
        let some = some.replace('a', "$11").replace("b ", "$12 ");
        let seed = filter(
            scan(seed_oid, 10, seed_name),
            vec![condition(&format!("({some})"))],
        );
        let start = if union { "$12" } else { "0" };
        let seed = project(seed, &[(21, "x", "$11"), (22, "n", start)]);
        let mut whole = opaque(
            &query,
            &[(self.id(), "x"), (self.id(), "n")],
            &[seed_oid, oid],
        );
        whole.recursion = crate::tree::Recursion::new(seed, step, union, &query).map(Box::new);
        assert!(whole.recursion.is_some(), "its parts are linear");
        Relation::Opaque(whole)
    }
}

/// A recursion alone, joined, or below a grouping.
pub fn replay(numbers: &[u16]) {
    let query = |draw: &mut Draw<'_>| {
        let rows = draw.recursion();
        match draw.below(4) {
            0 => rows,
            1 => distinct(rows),
            2 => {
                let other = draw.recursion();
                let link = draw.link(&rows, &other);
                join(rows, other, link)
            }
            _ => {
                let other = draw.scan();
                let link = draw.link(&rows, &other);
                join(rows, other, link)
            }
        }
    };
    replay_query(numbers, Draw::new, query, 6, 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn oracle_recursion(numbers in numbers()) {
        replay(&numbers);
    }
}

/// Rows 2 and 3 reach each other when nothing reaches them any more.
#[test]
fn oracle_recursion_into_a_cycle_that_is_cut_off() {
    for distinct_rows in [true, false] {
        let word = if distinct_rows { "UNION" } else { "UNION ALL" };
        let query = format!(
            "WITH RECURSIVE w(x) AS (SELECT 1 {word} SELECT s.b FROM w, s WHERE w.x = s.a) SELECT x FROM w"
        );
        let rows = Relation::Opaque(opaque(&query, &[(1, "x")], &[2]));
        let step = project(
            join(rows, scan(2, 10, "s"), vec![equal("$1", "$11")]),
            &[(21, "x", "$12")],
        );
        let seed = project(Relation::SingleRow, &[(21, "x", "1")]);
        let mut whole = opaque(&query, &[(31, "x")], &[2]);
        whole.recursion =
            crate::tree::Recursion::new(seed, step, distinct_rows, &query).map(Box::new);
        let edges = |edges: &[(i64, i64)]| {
            let rows = edges.iter().map(|(a, b)| vec![Some(*a), Some(*b), None]);
            BTreeMap::from([(2, rows.collect::<Vec<_>>())])
        };
        let mut engine = Sqlite::new();
        let mut simulation = Simulation::new(
            &mut engine,
            &Relation::Opaque(whole),
            &edges(&[(1, 2), (2, 3), (3, 4)]),
            5,
        );
        simulation.refresh(&edges(&[(3, 2), (2, 3), (3, 4)]));
        simulation.refresh(&edges(&[(1, 2), (2, 3), (3, 4)]));
    }
}

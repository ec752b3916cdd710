//! Dependent subqueries: EXISTS, ANY and scalar ones of any depth, marks under OR and NOT, LATERAL.

use proptest::prelude::*;

use super::engine::{Engine, Postgres};
use super::joins::{numbers, replay_query};
use super::queries::{Draw, named};
use super::refresh::Simulation;
use crate::tree::testing::{
    aggregate, boolean, column, condition, distinct, equal, filter, group, integer, join,
    keyed_scan, left_join, project, union_all,
};
use crate::tree::{AggregateKind, ApplyKind, Predicate, Relation};

impl Draw<'_> {
    /// A relation with dependent subqueries beside it, and a SELECT list over all.
    pub fn with_subqueries(&mut self, lateral: bool) -> Relation {
        let scans = 1 + self.below(2);
        let mut relation = self.joined(scans);
        for _ in 0..1 + self.below(2) {
            relation = self.applied(relation, 2, lateral);
        }
        match self.below(4) {
            0 => self.grouped(relation),
            1 => {
                let selected = self.selected(relation);
                distinct(selected)
            }
            _ => self.selected(relation),
        }
    }

    /// The relation with one more subquery, of which perhaps a filter, perhaps a value makes use.
    fn applied(&mut self, input: Relation, depth: usize, lateral: bool) -> Relation {
        let kinds = if lateral { 5 } else { 3 };
        match self.below(kinds) {
            0 => {
                let subquery = self.correlated(&input, depth);
                let present = column(self.id(), "present", boolean());
                let mark = present.id.0;
                let kind = ApplyKind::Exists { present };
                self.marked(apply(input, subquery, kind), mark)
            }
            1 => {
                let subquery = self.correlated(&input, depth);
                let tests = self.tests(&input, &subquery);
                let result = column(self.id(), "result", boolean());
                let mark = result.id.0;
                let kind = ApplyKind::Any { tests, result };
                self.marked(apply(input, subquery, kind), mark)
            }
            2 => {
                let subquery = self.single(&input, depth);
                let value = column(self.id(), "value", integer());
                apply(input, subquery, ApplyKind::Scalar { value })
            }
            3 => {
                let subquery = self.correlated(&input, depth);
                apply(input, subquery, ApplyKind::Cross)
            }
            _ => {
                let subquery = self.correlated(&input, depth);
                let predicates = self.link(&input, &subquery);
                apply(input, subquery, ApplyKind::Left { predicates })
            }
        }
    }

    fn marked(&mut self, relation: Relation, mark: u32) -> Relation {
        let value = self.value(&relation);
        match self.below(5) {
            0 | 1 => filter(relation, vec![condition(&format!("${mark}"))]),
            2 => filter(relation, vec![condition(&format!("(NOT ${mark})"))]),
            3 => filter(
                relation,
                vec![condition(&format!("(${mark} OR ({value} > 1))"))],
            ),
            _ => {
                let mut columns: Vec<(u32, String)> = Vec::new();
                for c in relation.columns().iter().filter(|c| c.ty == integer()) {
                    columns.push((self.id(), format!("${}", c.id.0)));
                }
                let case = format!("CASE WHEN ${mark} THEN 1 WHEN NOT ${mark} THEN 2 ELSE 3 END");
                columns.push((self.id(), case));
                project(relation, &named("x", &columns))
            }
        }
    }

    /// Tests of ANY: one or two equalities, or anything else.
    fn tests(&mut self, outer: &Relation, inner: &Relation) -> Vec<Predicate> {
        let (x, y) = (self.value(outer), self.column_of(inner));
        match self.below(5) {
            0 | 1 => vec![equal(&x, &y)],
            2 => vec![equal(&y, &x)],
            3 => {
                let (v, w) = (self.column_of(outer), self.column_of(inner));
                vec![equal(&x, &y), equal(&v, &w)]
            }
            _ => vec![condition(&format!("({x} < {y})"))],
        }
    }

    /// A subquery that reads the outer relation, or does not.
    fn correlated(&mut self, outer: &Relation, depth: usize) -> Relation {
        let base = self.correlated_rows(outer, depth);
        match self.below(10) {
            0 => {
                let selected = self.selected(base);
                distinct(selected)
            }
            7 => self.windowed(base),
            8 => self.first_rows(base),
            9 => {
                let first = self.first_rows(base);
                self.grouped_plainly(first, 0)
            }
            1 => self.grouped_plainly(base, 1),
            2 => self.grouped_plainly(base, 0),
            3 => {
                let other = self.correlated_rows(outer, 0);
                let id = self.id();
                let (x, y) = (self.value(&base), self.value(&other));
                union_all(&[(id, "u")], vec![(base, vec![&x]), (other, vec![&y])])
            }
            4 => {
                let value = format!("({} + {})", self.column_of(&base), self.column_of(outer));
                let id = self.id();
                project(base, &[(id, "x", &value)])
            }
            _ => base,
        }
    }

    fn correlated_rows(&mut self, outer: &Relation, depth: usize) -> Relation {
        let mut rows = self.scan();
        if self.one_in(3) {
            let other = self.scan();
            let mut on = self.link(&rows, &other);
            if self.one_in(3) {
                on.extend(self.link(outer, &other));
            }
            rows = match self.below(3) {
                0 => left_join(rows, other, on),
                _ => join(rows, other, on),
            };
        }
        let links = self.link(outer, &rows);
        if !links.is_empty() {
            rows = filter(rows, links);
        }
        if depth > 0 && self.one_in(3) {
            // The inner subquery sees both relations around it.
            let both = join(outer.clone(), rows.clone(), Vec::new());
            let inner = self.correlated(&both, depth - 1);
            let present = column(self.id(), "present", boolean());
            let mark = present.id.0;
            rows = apply(rows, inner, ApplyKind::Exists { present });
            let conjunct = match self.below(3) {
                0 => format!("(NOT ${mark})"),
                _ => format!("${mark}"),
            };
            rows = filter(rows, vec![condition(&conjunct)]);
        }
        rows
    }

    fn grouped_plainly(&mut self, relation: Relation, keys: usize) -> Relation {
        let keys = self.values(keys, &relation);
        let keys = named("g", &keys);
        let kinds = [
            AggregateKind::CountStar,
            AggregateKind::Max,
            AggregateKind::SumInteger,
            AggregateKind::Recompute,
        ];
        let kind = kinds[self.below(4)];
        let argument = match kind {
            AggregateKind::CountStar => String::new(),
            _ => self.value(&relation),
        };
        let call = aggregate(self.id(), kind, &argument);
        let grouped = group(relation, &keys, vec![call]);
        match self.one_in(3) {
            true => {
                let having = self.truth(&grouped);
                filter(grouped, vec![condition(&having)])
            }
            false => grouped,
        }
    }

    /// A subquery of one column and at most one row.
    fn single(&mut self, outer: &Relation, depth: usize) -> Relation {
        if self.one_in(3) {
            let base = self.next_base();
            let key = format!("${}", base + 1);
            let by_key = filter(
                keyed_scan(4, base, "k"),
                vec![equal(&self.value(outer), &key)],
            );
            let value = format!("(${} + {})", base + 2, self.column_of(outer));
            let id = self.id();
            return project(by_key, &[(id, "x", &value)]);
        }
        let rows = self.correlated_rows(outer, depth);
        let grouped = self.grouped_plainly(rows, 0);
        let value = match self.one_in(3) {
            true => format!("({} + {})", self.column_of(&grouped), self.column_of(outer)),
            false => self.column_of(&grouped),
        };
        let id = self.id();
        project(grouped, &[(id, "x", &value)])
    }
}

fn apply(input: Relation, subquery: Relation, kind: ApplyKind) -> Relation {
    Relation::Apply {
        input: Box::new(input),
        subquery: Box::new(subquery),
        kind,
    }
}

/// Refreshes a query with dependent subqueries; the simulation compares each time.
pub fn replay(numbers: &[u16], inline_limit: usize) {
    replay_query(
        numbers,
        Draw::new,
        |draw| draw.with_subqueries(false),
        4,
        inline_limit,
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn oracle_subqueries(numbers in numbers(), limit in 1_usize..5) {
        replay(&numbers, limit);
    }
}

#[test]
#[ignore = "set PGT_PSQL to a command line of psql"]
fn oracle_subqueries_in_postgres() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(100));
    let result = runner.run(&(numbers(), 1_usize..6), |(numbers, limit)| {
        let mut engine = Postgres::new().expect("PGT_PSQL is set");
        let mut draw = Draw::new(&numbers);
        let relation = draw.with_subqueries(true);
        let mut tables = draw.tables(4);
        let engine: &mut dyn Engine = &mut engine;
        let mut simulation = Simulation::new(engine, &relation, &tables, limit);
        for _ in 0..3 {
            let changes = draw.changes(&tables, 4);
            tables.extend(changes.clone());
            simulation.refresh(&changes);
        }
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
}

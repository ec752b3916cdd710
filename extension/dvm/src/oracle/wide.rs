//! Joins of many tables of which each has a changed row, all of one result row: what the statements of a refresh
//! return is linear in the tables, whatever the shape.

use std::collections::BTreeMap;

use super::engine::Sqlite;
use super::refresh::Simulation;
use super::tables::Rows;
use crate::plan::compile;
use crate::tree::testing::{
    aggregate, column, condition, equal, filter, full_join, group, integer, join, keyed_scan,
    left_join, project, scan, union_all,
};
use crate::tree::{AggregateKind, ApplyKind, Predicate, Relation};

/// Rows that a statement returns at most, and that all return per table at most: a constant for all shapes.
const ROWS_OF_ONE: u64 = 24;
const ROWS_PER_TABLE: u64 = 20;

fn base(table: u32) -> u32 {
    table * 1000
}

/// Column `a` (the key), `b` or `c` of a table.
fn of(table: u32, column: u32) -> String {
    format!("${}", base(table) + column)
}

fn keyed(table: u32) -> Relation {
    keyed_scan(table, base(table), &format!("t{table}"))
}

fn plain(table: u32) -> Relation {
    scan(table, base(table), &format!("t{table}"))
}

/// The payload of every table.
fn shown(relation: Relation, tables: u32) -> Relation {
    let texts: Vec<String> = (1..=tables).map(|t| of(t, 3)).collect();
    let columns: Vec<(u32, &str, &str)> = (texts.iter().zip(900_001..))
        .map(|(text, id)| (id, "x", text.as_str()))
        .collect();
    project(relation, &columns)
}

type Joining = fn(Relation, Relation, Vec<Predicate>) -> Relation;
type Table = fn(u32) -> Relation;

/// Each table on the one before.
fn chain(tables: u32, table: Table, joining: Joining) -> Relation {
    let joined = (2..=tables).fold(table(1), |joined, t| {
        joining(joined, table(t), vec![equal(&of(t - 1, 2), &of(t, 1))])
    });
    shown(joined, tables)
}

/// Each table on the first.
fn star_of(tables: u32, table: Table, joining: Joining) -> Relation {
    (2..=tables).fold(plain(1), |joined, t| {
        joining(joined, table(t), vec![equal(&of(1, 2), &of(t, 1))])
    })
}

/// Each table on the first key that is there so far, as `USING` does.
fn merged(tables: u32) -> Relation {
    let mut key = of(1, 1);
    let mut joined = keyed(1);
    for t in 2..=tables {
        joined = full_join(joined, keyed(t), vec![equal(&key, &of(t, 1))]);
        key = format!("coalesce({key}, {})", of(t, 1));
    }
    shown(joined, tables)
}

fn scalar_subqueries(tables: u32) -> Relation {
    let mut columns = Vec::new();
    let rows = (2..=tables).fold(plain(1), |input, t| {
        let of_row = filter(plain(t), vec![equal(&of(t, 1), &of(1, 2))]);
        let sum = aggregate(base(t) + 10, AggregateKind::SumInteger, &of(t, 3));
        let value = column(base(t) + 11, "value", integer());
        columns.push(format!("${}", value.id.0));
        Relation::Apply {
            input: Box::new(input),
            subquery: Box::new(group(of_row, &[], vec![sum])),
            kind: ApplyKind::Scalar { value },
        }
    });
    let columns: Vec<(u32, &str, &str)> = (columns.iter().zip(900_001..))
        .map(|(text, id)| (id, "x", text.as_str()))
        .collect();
    project(rows, &columns)
}

fn grouped_star(tables: u32, kind: AggregateKind) -> Relation {
    let aggregates = (2..=tables)
        .map(|t| aggregate(900_000 + t, kind, &of(t, 3)))
        .collect();
    group(
        star_of(tables, keyed, join),
        &[(900_001, "g", &of(1, 1))],
        aggregates,
    )
}

fn grouped_subqueries(tables: u32) -> Relation {
    let sums = |t: u32| {
        let sum = aggregate(base(t) + 11, AggregateKind::SumInteger, &of(t, 3));
        group(plain(t), &[(base(t) + 10, "g", &of(t, 1))], vec![sum])
    };
    let joined = (2..=tables).fold(sums(1), |joined, t| {
        let link = equal(&format!("${}", base(1) + 10), &format!("${}", base(t) + 10));
        join(joined, sums(t), vec![link])
    });
    let texts: Vec<String> = (1..=tables).map(|t| format!("${}", base(t) + 11)).collect();
    let columns: Vec<(u32, &str, &str)> = (texts.iter().zip(900_001..))
        .map(|(text, id)| (id, "x", text.as_str()))
        .collect();
    project(joined, &columns)
}

/// A union of three tables that is joined to itself so many times, as a CTE is.
fn shared_union(copies: u32) -> Relation {
    let union = |copy: u32| {
        let arms = (1..=3_u32).map(|t| {
            let at = base(100 * copy + t);
            let name = format!("t{t}");
            (scan(t, at, &name), at, t)
        });
        let columns = [
            (base(copy) + 1, "a"),
            (base(copy) + 2, "b"),
            (base(copy) + 3, "kind"),
        ];
        let texts: Vec<(Relation, Vec<String>)> = arms
            .map(|(arm, at, t)| {
                (
                    arm,
                    vec![
                        format!("${}", at + 1),
                        format!("${}", at + 3),
                        t.to_string(),
                    ],
                )
            })
            .collect();
        let arms = texts
            .iter()
            .map(|(arm, texts)| (arm.clone(), texts.iter().map(String::as_str).collect()))
            .collect();
        let kind = condition(&format!("(${} = {})", base(copy) + 3, 1 + copy % 3));
        filter(union_all(&columns, arms), vec![kind])
    };
    let joined = (2..=copies).fold(union(1), |joined, copy| {
        let link = equal(
            &format!("${}", base(1) + 1),
            &format!("${}", base(copy) + 1),
        );
        join(joined, union(copy), vec![link])
    });
    let texts: Vec<String> = (1..=copies)
        .map(|copy| format!("${}", base(copy) + 2))
        .collect();
    let columns: Vec<(u32, &str, &str)> = (texts.iter().zip(900_001..))
        .map(|(text, id)| (id, "x", text.as_str()))
        .collect();
    project(joined, &columns)
}

/// Three rows that belong together in all tables.
fn rows_of(payload: i64) -> Rows {
    let row = |key: i64| vec![Some(key), Some(key), Some(10 * key)];
    let mut rows: Rows = (1..=3).map(row).collect();
    if let Some(value) = rows.first_mut().and_then(|row| row.get_mut(2)) {
        *value = Some(payload);
    }
    rows
}

/// How many rows the statements of a refresh return after one row of each of these tables was updated.
fn delta_rows(relation: &Relation, tables: u32, changed: impl Fn(u32) -> bool) -> Vec<u64> {
    let before: BTreeMap<u32, Rows> = (1..=tables).map(|t| (t, rows_of(10))).collect();
    let after = (1..=tables)
        .filter(|t| changed(*t))
        .map(|t| (t, rows_of(100 + i64::from(t))))
        .collect();
    let mut engine = Sqlite::new();
    let mut simulation = Simulation::new(&mut engine, relation, &before, 5);
    simulation.refresh(&after);
    simulation.delta_rows.clone()
}

fn assert_linear(name: &str, relation: &Relation, tables: u32) {
    for (what, changed) in [
        ("all", (|_| true) as fn(u32) -> bool),
        ("half", |t| t % 2 == 0),
        ("one", |t| t == 2),
    ] {
        let rows = delta_rows(relation, tables, changed);
        let most = rows.iter().max().copied().unwrap_or(0);
        let sum: u64 = rows.iter().sum();
        let context = format!("{name} of {tables}, {what} changed: {rows:?}");
        assert!(sum > 0, "{context}");
        assert!(most <= ROWS_OF_ONE, "{context}");
        assert!(sum <= ROWS_PER_TABLE * u64::from(tables), "{context}");
    }
}

fn assert_shape(name: &str, shape: impl Fn(u32) -> Relation) {
    for tables in [4, 8, 12, 20] {
        let relation = shape(tables);
        let plan = compile(relation.clone()).expect("supported");
        let branches: usize = plan.blocks().map(|block| block.branches.len()).sum();
        assert!(
            branches <= 6 * tables as usize,
            "{name} of {tables}\n{plan}"
        );
        assert_linear(name, &relation, tables);
    }
}

#[test]
fn inner_chains() {
    assert_shape("chain", |n| chain(n, plain, join));
    assert_shape("keyed chain", |n| chain(n, keyed, join));
}

#[test]
fn chains_of_left_joins() {
    assert_shape("chain", |n| chain(n, plain, left_join));
    assert_shape("keyed chain", |n| chain(n, keyed, left_join));
}

#[test]
fn stars_of_left_joins() {
    assert_shape("star", |n| shown(star_of(n, plain, left_join), n));
    assert_shape("keyed star", |n| shown(star_of(n, keyed, left_join), n));
}

#[test]
fn chains_of_full_joins() {
    assert_shape("chain", |n| chain(n, plain, full_join));
    assert_shape("keyed chain", |n| chain(n, keyed, full_join));
    assert_shape("merged keys", merged);
}

#[test]
fn scalar_subqueries_in_the_select_list() {
    assert_shape("scalar subqueries", scalar_subqueries);
}

#[test]
fn grouped_stars() {
    assert_shape("sums", |n| grouped_star(n, AggregateKind::SumInteger));
    assert_shape("extremes", |n| grouped_star(n, AggregateKind::Max));
    assert_shape("recomputed", |n| grouped_star(n, AggregateKind::Recompute));
}

#[test]
fn joins_of_grouped_subqueries() {
    assert_shape("grouped subqueries", grouped_subqueries);
}

#[test]
fn unions_joined_to_themselves() {
    for copies in [2, 4, 6, 8] {
        let rows = delta_rows(&shared_union(copies), 3, |_| true);
        let most = rows.iter().max().copied().unwrap_or(0);
        assert!(most <= ROWS_OF_ONE, "{copies} copies: {rows:?}");
    }
}

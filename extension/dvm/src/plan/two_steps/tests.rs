//! Tables `d` and `e` are distributed by their first columns, `w` is whole, others are on one node.

use super::*;
use crate::sql::query_text;
use crate::tree::AggregateKind;
use crate::tree::testing::{
    aggregate, condition, equal, filter, first_rows, group, join, opaque, project, scan,
};
use insta::assert_snapshot;

fn d() -> Relation {
    scan(1, 10, "d")
}

fn e() -> Relation {
    scan(2, 20, "e")
}

fn w() -> Relation {
    scan(3, 30, "w")
}

fn divided(relation: Relation) -> Result<TwoSteps, Crossing> {
    let tables = [(1, Spread::By(1)), (2, Spread::By(1)), (3, Spread::Whole)];
    let image = |oid: u32| ImageTable {
        oid,
        relation: format!("image{oid}"),
        first: 3,
        indexed: vec![3],
    };
    two_steps(relation, &BTreeMap::from(tables), &[image(100), image(101)])
}

fn shown(relation: Relation) -> String {
    let divided = match divided(relation) {
        Ok(divided) => divided,
        Err(crossing) => return crossing.to_string(),
    };
    let text = |relation: &Relation| {
        let width = relation.columns().len();
        let names: Vec<String> = (1..=width).map(|at| format!("c{at}")).collect();
        query_text(relation, &names).unwrap_or_default()
    };
    let mut all: Vec<_> = divided
        .parts
        .iter()
        .map(|part| format!("{}: {}", part.holds_rows, text(&part.relation)))
        .collect();
    all.push(text(&divided.rest));
    all.join("\n")
}

fn every_aggregate() -> Vec<Aggregate> {
    let kinds = [
        AggregateKind::CountStar,
        AggregateKind::Count,
        AggregateKind::SumInteger,
        AggregateKind::AvgInteger,
        AggregateKind::Min,
    ];
    let argument = |kind| {
        if kind == AggregateKind::CountStar {
            ""
        } else {
            "$13"
        }
    };
    let aggregates = kinds.into_iter().zip(92..);
    aggregates
        .map(|(kind, id)| aggregate(id, kind, argument(kind)))
        .collect()
}

#[test]
fn groups_are_made_of_groups() {
    let grouped = group(
        filter(d(), vec![condition("($12 > 0)")]),
        &[(91, "k", "$12")],
        every_aggregate(),
    );
    assert_snapshot!(shown(grouped), @r"
false: SELECT t.x91 AS c1, t.x97 AS c2, t.x99 AS c3, t.x101 AS c4, t.x103 AS c5, t.x105 AS c6, t.x107 AS c7 FROM (SELECT x12 AS x91, count(*) AS x97, count(x13) AS x99, sum(x13) AS x101, sum((x13)::bigint) AS x103, count((x13)) AS x105, min(x13) AS x107 FROM (SELECT x11, x12, x13 FROM (SELECT a AS x11, b AS x12, c AS x13 FROM d) AS t WHERE ((x12 > 0))) AS t GROUP BY 1) AS t
SELECT t.x91 AS c1, t.x92 AS c2, t.x93 AS c3, t.x94 AS c4, t.x95 AS c5, t.x96 AS c6 FROM (SELECT x91 AS x91, COALESCE(x98, 0)::bigint AS x92, COALESCE(x100, 0)::bigint AS x93, x102 AS x94, x104 / NULLIF(x106, 0) AS x95, x108 AS x96 FROM (SELECT x109 AS x91, sum(x97) AS x98, sum(x99) AS x100, sum(x101) AS x102, sum(x103) AS x104, sum(x105) AS x106, min(x107) AS x108 FROM (SELECT c0 AS x109, c1 AS x97, c2 AS x99, c3 AS x101, c4 AS x103, c5 AS x105, c6 AS x107 FROM image100) AS t GROUP BY 1) AS t) AS t
    ");
}

#[test]
fn what_is_above_groups_stays() {
    let counted = || {
        group(
            join(d(), w(), vec![equal("$12", "$31")]),
            &[(91, "k", "$32")],
            vec![aggregate(92, AggregateKind::CountStar, "")],
        )
    };
    let having = project(
        filter(counted(), vec![condition("($92 > 3)")]),
        &[(95, "n", "$92")],
    );
    assert_snapshot!(shown(having), @r"
false: SELECT t.x91 AS c1, t.x96 AS c2 FROM (SELECT x32 AS x91, count(*) AS x96 FROM (SELECT x11, x12, x13, x31, x32, x33 FROM (SELECT a AS x11, b AS x12, c AS x13 FROM d) AS l JOIN (SELECT a AS x31, b AS x32, c AS x33 FROM w) AS r ON ((x12 = x31))) AS t GROUP BY 1) AS t
SELECT t.x95 AS c1 FROM (SELECT x92 AS x95 FROM (SELECT x91, x92 FROM (SELECT x91 AS x91, COALESCE(x97, 0)::bigint AS x92 FROM (SELECT x98 AS x91, sum(x96) AS x97 FROM (SELECT c0 AS x98, c1 AS x96 FROM image100) AS t GROUP BY 1) AS t) AS t WHERE ((x92 > 3))) AS t) AS t
    ");
    let joined = join(counted(), scan(9, 50, "plain"), vec![equal("$91", "$51")]);
    assert_snapshot!(shown(joined), @r"
false: SELECT t.x91 AS c1, t.x93 AS c2 FROM (SELECT x32 AS x91, count(*) AS x93 FROM (SELECT x11, x12, x13, x31, x32, x33 FROM (SELECT a AS x11, b AS x12, c AS x13 FROM d) AS l JOIN (SELECT a AS x31, b AS x32, c AS x33 FROM w) AS r ON ((x12 = x31))) AS t GROUP BY 1) AS t
SELECT t.x91 AS c1, t.x92 AS c2, t.x51 AS c3, t.x52 AS c4, t.x53 AS c5 FROM (SELECT x91, x92, x51, x52, x53 FROM (SELECT x91 AS x91, COALESCE(x94, 0)::bigint AS x92 FROM (SELECT x95 AS x91, sum(x93) AS x94 FROM (SELECT c0 AS x95, c1 AS x93 FROM image100) AS t GROUP BY 1) AS t) AS l JOIN (SELECT a AS x51, b AS x52, c AS x53 FROM plain) AS r ON ((x91 = x51))) AS t
    ");
}

#[test]
fn tables_that_are_not_joined_by_their_distribution_columns_have_images() {
    let crossing = join(d(), e(), vec![equal("$12", "$21")]);
    assert_snapshot!(shown(crossing), @r"
true: SELECT t.x11 AS c1, t.x12 AS c2, t.x13 AS c3 FROM (SELECT a AS x11, b AS x12, c AS x13 FROM d) AS t
true: SELECT t.x21 AS c1, t.x22 AS c2, t.x23 AS c3 FROM (SELECT a AS x21, b AS x22, c AS x23 FROM e) AS t
SELECT t.x11 AS c1, t.x12 AS c2, t.x13 AS c3, t.x21 AS c4, t.x22 AS c5, t.x23 AS c6 FROM (SELECT x11, x12, x13, x21, x22, x23 FROM (SELECT c0 AS x11, c1 AS x12, c2 AS x13 FROM image100) AS l JOIN (SELECT c0 AS x21, c1 AS x22, c2 AS x23 FROM image101) AS r ON ((x12 = x21))) AS t
    ");
}

#[test]
fn a_column_of_an_image_has_an_identity_of_its_own() {
    let grouped = group(d(), &[(91, "k", "$12")], every_aggregate());
    let divided = divided(grouped.clone()).unwrap();
    assert_eq!(divided.rest.columns(), grouped.columns());
    let mut made = divided.rest.made_columns();
    let count = made.len();
    made.sort_unstable();
    made.dedup();
    // The keys, which the projection passes.
    assert_eq!(made.len() + 1, count);
}

#[test]
fn what_is_not_made_of_parts_is_refused() {
    let first = first_rows(d(), &[], vec![], 0, Some(3), false);
    assert!(divided(first).is_ok());
    assert_eq!(divided(scan(9, 50, "plain")), Err(Crossing::Whole));
    let whole = opaque("SELECT a FROM d", &[(91, "a")], &[1]);
    assert_eq!(divided(Relation::Opaque(whole)), Err(Crossing::Opaque));
}

//! The statements after a change of a windowed table, and which windows have an end to what a change reaches.

use std::collections::BTreeSet;

use insta::assert_snapshot;

use super::*;
use crate::operators::testing::context;
use crate::plan::{Partition, compile};
use crate::tree::testing::{column, expr, integer, keyed_scan, scan, sort_key};
use crate::tree::{ColumnId, Comparisons, Reach, Relation, Ties};

fn call(function: &str, order: &[&str], frame: &str, back: u64, ahead: Ahead) -> WindowCall {
    let operator = |name: &str| format!("OPERATOR(pg_catalog.{name})");
    WindowCall {
        column: column(31, "w", integer()),
        function: expr(function),
        arguments: vec![expr("$12")],
        partition: Vec::new(),
        order: order
            .iter()
            .map(|key| sort_key(key, "ASC NULLS LAST"))
            .collect(),
        frame: frame.into(),
        ties: Ties::Rows,
        reach: Some(Reach {
            order: Comparisons {
                descending: false,
                less: operator("<"),
                at_most: operator("<="),
                at_least: operator(">="),
                greater: operator(">"),
            },
            back,
            ahead,
        }),
    }
}

fn windowed(input: Relation, partition: &[u32], calls: Vec<WindowCall>) -> Relation {
    Relation::Window {
        input: Box::new(input),
        partition: partition.iter().map(|id| ColumnId(*id)).collect(),
        calls,
    }
}

/// The statements after a change, from its reach to the results.
fn statements(calls: Vec<WindowCall>) -> String {
    let plan = compile(windowed(keyed_scan(1, 10, "k"), &[], calls)).expect("supported");
    let context = context(&plan);
    let node = &plan.nodes[0];
    let Some(Partition::Window {
        calls,
        order: Some(order),
    }) = node.partition()
    else {
        panic!("changes reach everything:\n{plan}");
    };
    let delta = changes(context, node, &BTreeSet::from([Source::Table(1)]));
    [
        delta.terms.expect("changed"),
        regions(context, node, order, calls),
        stored(context, node, order),
        rows(context, node, order),
        results(node, order, calls),
    ]
    .join("\n\n")
}

#[test]
fn a_running_total_is_carried_to_the_end() {
    let total = call(
        "sum($12)",
        &["$11"],
        "ROWS UNBOUNDED PRECEDING",
        0,
        Ahead::All(Carry::Operator("+".into())),
    );
    assert_snapshot!(statements(vec![total]), @r"
    SELECT s0.a1 AS c0, s0.a2 AS c1, s0.a3 AS c2, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0

    SELECT CAST(1 AS bigint) AS n, h.start, h.low, h.high, h.high AS stop, (h.prior IS NOT NULL) AS is_after, (SELECT p.e FROM (SELECT s.a3 AS e, row_number() OVER (ORDER BY s.a0 ASC NULLS LAST) AS n FROM st_0 AS s WHERE s.a0 = h.prior) AS p ORDER BY p.n DESC LIMIT 1) AS e0
    FROM (SELECT g.start, g.low, g.high, (SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.<) g.start ORDER BY s.a0 DESC NULLS FIRST LIMIT 1) AS prior
    FROM (SELECT f.low AS start, f.low, f.high
    FROM (SELECT v.o AS low, coalesce((SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.>) (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1) ORDER BY s.a0 DESC NULLS FIRST LIMIT 1), (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1)) AS high
    FROM (SELECT (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 ASC NULLS LAST LIMIT 1) AS o) AS v
    OFFSET 0) AS f
    OFFSET 0) AS g
    OFFSET 0) AS h

    SELECT s.ctid, s.a0, s.a1, s.a2, s.a3
    FROM __pgt_regions AS t, st_0 AS s
    WHERE s.a0 OPERATOR(pg_catalog.>=) t.low AND s.a0 OPERATOR(pg_catalog.<=) t.high

    SELECT t.n AS n, s.a0 AS a0, s.a1 AS a1, s.a2 AS a2, CAST(1 AS bigint) AS __pgt_w
    FROM __pgt_regions AS t, st_0 AS s
    WHERE s.a0 OPERATOR(pg_catalog.>=) t.start AND s.a0 OPERATOR(pg_catalog.<=) t.stop
    UNION ALL SELECT t.n AS n, d.c0 AS a0, d.c1 AS a1, d.c2 AS a2, CAST(d.__pgt_w AS bigint) AS __pgt_w
    FROM __pgt_regions AS t, __pgt_changed AS d
    WHERE d.c0 OPERATOR(pg_catalog.>=) t.start AND d.c0 OPERATOR(pg_catalog.<=) t.stop

    SELECT q.a0 AS c0, q.a1 AS c1, q.a2 AS c2, CASE WHEN t.e0 IS NULL THEN q.a3 WHEN q.a3 IS NULL THEN t.e0 ELSE t.e0 + q.a3 END AS c3
    FROM __pgt_regions AS t, (SELECT r.n AS n, r.a0 AS a0, r.a1 AS a1, r.a2 AS a2, sum(r.a1) OVER (PARTITION BY r.n ORDER BY r.a0 ASC NULLS LAST ROWS UNBOUNDED PRECEDING) AS a3
    FROM __pgt_rows AS r) AS q
    WHERE t.n = q.n AND q.a0 OPERATOR(pg_catalog.>=) t.low AND q.a0 OPERATOR(pg_catalog.<=) t.high
    ");
}

#[test]
fn neighbours_are_reached_and_no_more() {
    let calls = vec![
        call("lag($12)", &["$11"], "", 0, Ahead::Rows(1)),
        call("lead($12, 2)", &["$11"], "", 2, Ahead::Rows(0)),
    ];
    assert_snapshot!(statements(calls), @r"
    SELECT s0.a1 AS c0, s0.a2 AS c1, s0.a3 AS c2, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0

    SELECT q.n, q.start, q.low, q.high, q.stop
    FROM (SELECT i.n, i.is_first, i.start, i.low, last_value(i.high) OVER w AS high, last_value(i.stop) OVER w AS stop
    FROM (SELECT p.o, p.start, p.low, p.high, p.stop, p.is_first, count(*) FILTER (WHERE p.is_first) OVER (ORDER BY p.o ASC NULLS LAST) AS n
    FROM (SELECT r.o, r.start, r.low, r.high, r.stop, coalesce(r.start OPERATOR(pg_catalog.>) lag(r.stop) OVER (ORDER BY r.o ASC NULLS LAST), true) AS is_first
    FROM (SELECT f.o, coalesce((SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.<) f.low ORDER BY s.a0 DESC NULLS FIRST LIMIT 1 OFFSET 0), (SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.<) (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 ASC NULLS LAST LIMIT 1) ORDER BY s.a0 ASC NULLS LAST LIMIT 1), (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 ASC NULLS LAST LIMIT 1)) AS start, f.low, f.high, coalesce((SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.>) f.high ORDER BY s.a0 ASC NULLS LAST LIMIT 1 OFFSET 1), (SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.>) (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1) ORDER BY s.a0 DESC NULLS FIRST LIMIT 1), (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1)) AS stop
    FROM (SELECT v.o, coalesce((SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.<) v.o ORDER BY s.a0 DESC NULLS FIRST LIMIT 1 OFFSET 1), (SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.<) (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 ASC NULLS LAST LIMIT 1) ORDER BY s.a0 ASC NULLS LAST LIMIT 1), (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 ASC NULLS LAST LIMIT 1)) AS low, coalesce((SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.>) v.o ORDER BY s.a0 ASC NULLS LAST LIMIT 1 OFFSET 0), (SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.>) (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1) ORDER BY s.a0 DESC NULLS FIRST LIMIT 1), (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1)) AS high
    FROM (SELECT DISTINCT d.c0 AS o FROM __pgt_changed AS d) AS v
    OFFSET 0) AS f
    OFFSET 0) AS r) AS p) AS i
    WINDOW w AS (PARTITION BY i.n ORDER BY i.o ASC NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS q
    WHERE q.is_first

    SELECT s.ctid, s.a0, s.a1, s.a2, s.a3, s.a4
    FROM __pgt_regions AS t, st_0 AS s
    WHERE s.a0 OPERATOR(pg_catalog.>=) t.low AND s.a0 OPERATOR(pg_catalog.<=) t.high

    SELECT t.n AS n, s.a0 AS a0, s.a1 AS a1, s.a2 AS a2, CAST(1 AS bigint) AS __pgt_w
    FROM __pgt_regions AS t, st_0 AS s
    WHERE s.a0 OPERATOR(pg_catalog.>=) t.start AND s.a0 OPERATOR(pg_catalog.<=) t.stop
    UNION ALL SELECT t.n AS n, d.c0 AS a0, d.c1 AS a1, d.c2 AS a2, CAST(d.__pgt_w AS bigint) AS __pgt_w
    FROM __pgt_regions AS t, __pgt_changed AS d
    WHERE d.c0 OPERATOR(pg_catalog.>=) t.start AND d.c0 OPERATOR(pg_catalog.<=) t.stop

    SELECT q.a0 AS c0, q.a1 AS c1, q.a2 AS c2, q.a3 AS c3, q.a4 AS c4
    FROM __pgt_regions AS t, (SELECT r.n AS n, r.a0 AS a0, r.a1 AS a1, r.a2 AS a2, lag(r.a1) OVER (PARTITION BY r.n ORDER BY r.a0 ASC NULLS LAST) AS a3, lead(r.a1, 2) OVER (PARTITION BY r.n ORDER BY r.a0 ASC NULLS LAST) AS a4
    FROM __pgt_rows AS r) AS q
    WHERE t.n = q.n AND q.a0 OPERATOR(pg_catalog.>=) t.low AND q.a0 OPERATOR(pg_catalog.<=) t.high
    ");
}

#[test]
fn changes_reach_everything_unless_all_calls_have_one_order_and_an_end() {
    let near = || call("lag($12)", &["$11"], "", 0, Ahead::Rows(1));
    let total = || {
        call(
            "sum($12)",
            &["$11"],
            "",
            0,
            Ahead::All(Carry::Operator("+".into())),
        )
    };
    let has_end = |input: Relation, partition: &[u32], calls: Vec<WindowCall>| {
        let plan = compile(windowed(input, partition, calls)).expect("supported");
        plan.nodes[0]
            .partition()
            .is_some_and(|rule| rule.order().is_some())
    };
    let keyed = || keyed_scan(1, 10, "k");
    assert!(has_end(keyed(), &[], vec![near(), total()]));
    assert!(!has_end(keyed(), &[12], vec![near()]));
    let mut other = total();
    other.order = vec![
        sort_key("$12", "ASC NULLS LAST"),
        sort_key("$11", "ASC NULLS LAST"),
    ];
    // Each has a node of its own, the second over the first.
    assert!(has_end(keyed(), &[], vec![near(), other]));
    let mut unknown = near();
    unknown.reach = None;
    assert!(!has_end(keyed(), &[], vec![near(), unknown]));
    // Of rows that are alike it is not known which is the last, but its number is the greatest.
    let all = ["$11", "$12", "$13"];
    let carried = |carry| call("f($12)", &all, "", 0, Ahead::All(carry));
    let bag = || scan(1, 10, "r");
    assert!(!has_end(
        bag(),
        &[],
        vec![carried(Carry::Operator("+".into()))]
    ));
    assert!(has_end(bag(), &[], vec![carried(Carry::Count)]));
    assert!(has_end(
        bag(),
        &[],
        vec![call("lag($12)", &all, "", 0, Ahead::Rows(1))]
    ));
}

//! Which terms a change of joined tables has, and as which steps.

use insta::assert_snapshot;

use super::*;
use crate::operators::testing::delta_within;
use crate::tree::Relation;
use crate::tree::testing::{equal, expand, join, project, scan};

fn delta(relation: Relation, tables: &[u32], inline_limit: usize) -> String {
    let changed: Vec<_> = tables.iter().map(|oid| Source::Table(*oid)).collect();
    delta_within(relation, &changed, inline_limit)
}

fn two() -> Relation {
    let both = join(
        scan(1, 10, "r"),
        scan(2, 20, "s"),
        vec![equal("$11", "$21")],
    );
    project(both, &[(31, "x", "($12 + $22)")])
}

fn chain() -> Relation {
    let two = join(
        scan(1, 10, "r"),
        scan(2, 20, "s"),
        vec![equal("$11", "$21")],
    );
    let three = join(two, scan(3, 30, "t"), vec![equal("$22", "$31")]);
    project(three, &[(41, "x", "$13"), (42, "y", "$33")])
}

#[test]
fn one_changed_source_is_one_term() {
    assert_snapshot!(delta(two(), &[2], 5), @r"
    SELECT (s0.b + s1.a2) AS c0, s1.__pgt_w AS __pgt_w
    FROM r AS s0, __pgt_delta_2 AS s1
    WHERE ((s0.a = s1.a1))
    ");
}

#[test]
fn two_changed_sources_are_corrected_once() {
    assert_snapshot!(delta(two(), &[1, 2], 5), @r"
    SELECT (s0.a2 + s1.b) AS c0, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0, s AS s1
    WHERE ((s0.a1 = s1.a))
    UNION ALL
    SELECT (s0.b + s1.a2) AS c0, s1.__pgt_w AS __pgt_w
    FROM r AS s0, __pgt_delta_2 AS s1
    WHERE ((s0.a = s1.a1))
    UNION ALL
    SELECT (s0.a2 + s1.a2) AS c0, - (s0.__pgt_w::bigint * s1.__pgt_w) AS __pgt_w
    FROM __pgt_delta_1 AS s0, __pgt_delta_2 AS s1
    WHERE ((s0.a1 = s1.a1))
    ");
}

#[test]
fn an_unrelated_change_has_no_term() {
    assert_snapshot!(delta(two(), &[9], 5), @"nothing");
}

#[test]
fn a_self_join_has_both_scans_changed() {
    let both = join(
        scan(1, 10, "r"),
        scan(1, 20, "r"),
        vec![equal("$11", "$22")],
    );
    assert_snapshot!(delta(project(both, &[(31, "x", "$12")]), &[1], 5), @r"
    SELECT s0.a2 AS c0, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0, r AS s1
    WHERE ((s0.a1 = s1.b))
    UNION ALL
    SELECT s0.b AS c0, s1.__pgt_w AS __pgt_w
    FROM r AS s0, __pgt_delta_1 AS s1
    WHERE ((s0.a = s1.a2))
    UNION ALL
    SELECT s0.a2 AS c0, - (s0.__pgt_w::bigint * s1.__pgt_w) AS __pgt_w
    FROM __pgt_delta_1 AS s0, __pgt_delta_1 AS s1
    WHERE ((s0.a1 = s1.a2))
    ");
}

#[test]
fn beyond_the_limit_steps_share_the_delta_of_the_prefix() {
    assert_snapshot!(delta(chain(), &[1, 2, 3], 2), @r"
    __pgt_prefix_0_0:
    SELECT s0.a1 AS p11, s0.a3 AS p13, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0

    __pgt_prefix_0_1:
    SELECT s0.c AS p13, s1.a2 AS p22, s1.__pgt_w AS __pgt_w
    FROM r AS s0, __pgt_delta_2 AS s1
    WHERE ((s0.a = s1.a1))
    UNION ALL
    SELECT p.p13 AS p13, s1.b AS p22, p.__pgt_w AS __pgt_w
    FROM __pgt_prefix_0_0 AS p, s AS s1
    WHERE ((p.p11 = s1.a))
    UNION ALL
    SELECT p.p13 AS p13, s1.a2 AS p22, - (p.__pgt_w::bigint * s1.__pgt_w) AS __pgt_w
    FROM __pgt_prefix_0_0 AS p, __pgt_delta_2 AS s1
    WHERE ((p.p11 = s1.a1))

    SELECT s0.c AS c0, s2.a3 AS c1, s2.__pgt_w AS __pgt_w
    FROM r AS s0, s AS s1, __pgt_delta_3 AS s2
    WHERE ((s0.a = s1.a)) AND ((s1.b = s2.a1))
    UNION ALL
    SELECT p.p13 AS c0, s2.c AS c1, p.__pgt_w AS __pgt_w
    FROM __pgt_prefix_0_1 AS p, t AS s2
    WHERE ((p.p22 = s2.a))
    UNION ALL
    SELECT p.p13 AS c0, s2.a3 AS c1, - (p.__pgt_w::bigint * s2.__pgt_w) AS __pgt_w
    FROM __pgt_prefix_0_1 AS p, __pgt_delta_3 AS s2
    WHERE ((p.p22 = s2.a1))
    ");
}

#[test]
fn unchanged_relations_join_along_with_the_next_changed_one() {
    assert_snapshot!(delta(chain(), &[1, 3], 1), @r"
    __pgt_prefix_0_0:
    SELECT s0.a1 AS p11, s0.a3 AS p13, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0

    SELECT s0.c AS c0, s2.a3 AS c1, s2.__pgt_w AS __pgt_w
    FROM r AS s0, s AS s1, __pgt_delta_3 AS s2
    WHERE ((s0.a = s1.a)) AND ((s1.b = s2.a1))
    UNION ALL
    SELECT p.p13 AS c0, s2.c AS c1, p.__pgt_w AS __pgt_w
    FROM __pgt_prefix_0_0 AS p, s AS s1, t AS s2
    WHERE ((p.p11 = s1.a)) AND ((s1.b = s2.a))
    UNION ALL
    SELECT p.p13 AS c0, s2.a3 AS c1, - (p.__pgt_w::bigint * s2.__pgt_w) AS __pgt_w
    FROM __pgt_prefix_0_0 AS p, s AS s1, __pgt_delta_3 AS s2
    WHERE ((p.p11 = s1.a)) AND ((s1.b = s2.a1))
    ");
}

#[test]
fn computed_rows_ride_along() {
    let computed = expand(two(), "unnest(ARRAY[$31, 7])", &[(51, "u")]);
    let computed = expand(computed, "generate_series(1, $51)", &[(61, "n")]);
    let shown = project(computed, &[(71, "x", "($31 + $61)")]);
    assert_snapshot!(delta(shown, &[2], 5), @r"
    SELECT (((s0.b + s1.a2)) + s3.c0) AS c0, s1.__pgt_w AS __pgt_w
    FROM r AS s0, __pgt_delta_2 AS s1, LATERAL unnest(ARRAY[((s0.b + s1.a2)), 7]) AS s2(c0), LATERAL generate_series(1, s2.c0) AS s3(c0)
    WHERE ((s0.a = s1.a1))
    ");
}

#[test]
fn computed_rows_join_after_those_that_they_read() {
    let computed = expand(
        join(scan(1, 10, "r"), scan(2, 20, "s"), vec![]),
        "unnest(ARRAY[$12, $22])",
        &[(51, "u")],
    );
    let three = join(computed, scan(3, 30, "t"), vec![equal("$51", "$31")]);
    let shown = project(three, &[(71, "x", "$51"), (72, "y", "$33")]);
    assert_snapshot!(delta(shown, &[1, 3], 1), @r"
    __pgt_prefix_0_0:
    SELECT s0.a2 AS p12, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0

    SELECT s2.c0 AS c0, s3.a3 AS c1, s3.__pgt_w AS __pgt_w
    FROM r AS s0, s AS s1, LATERAL unnest(ARRAY[s0.b, s1.b]) AS s2(c0), __pgt_delta_3 AS s3
    WHERE ((s2.c0 = s3.a1))
    UNION ALL
    SELECT s2.c0 AS c0, s3.c AS c1, p.__pgt_w AS __pgt_w
    FROM __pgt_prefix_0_0 AS p, s AS s1, LATERAL unnest(ARRAY[p.p12, s1.b]) AS s2(c0), t AS s3
    WHERE ((s2.c0 = s3.a))
    UNION ALL
    SELECT s2.c0 AS c0, s3.a3 AS c1, - (p.__pgt_w::bigint * s3.__pgt_w) AS __pgt_w
    FROM __pgt_prefix_0_0 AS p, s AS s1, LATERAL unnest(ARRAY[p.p12, s1.b]) AS s2(c0), __pgt_delta_3 AS s3
    WHERE ((s2.c0 = s3.a1))
    ");
}

#[test]
fn terms_are_as_many_as_non_empty_subsets() {
    for (changed, terms) in [(&[1][..], 1), (&[1, 2], 3), (&[1, 2, 3], 7)] {
        let sql = delta(chain(), changed, 8);
        assert_eq!(sql.matches("SELECT").count(), terms, "{sql}");
    }
}

#[test]
fn the_number_of_scans_decides_whether_terms_are_written_out() {
    for (limit, steps) in [(1, 1), (2, 1), (3, 0), (64, 0)] {
        let sql = delta(chain(), &[1, 3], limit);
        assert_eq!(sql.matches("__pgt_prefix_0_0:").count(), steps, "{sql}");
    }
    assert!(!delta(chain(), &[2], 1).contains("__pgt_prefix"));
    let many = (2..=10).fold(scan(1, 10, "r"), |joined, number| {
        let next = scan(number, 10 * number, "s");
        join(
            joined,
            next,
            vec![equal("$11", &format!("${}", 10 * number + 1))],
        )
    });
    let changed: Vec<u32> = (1..=10).collect();
    let many = delta(project(many, &[(901, "x", "$12")]), &changed, 64);
    assert_eq!(many.matches("SELECT").count(), 1 + 3 * 9, "{many}");
}

//! Statements of groupings.

use insta::assert_snapshot;

use super::{combine, delta, initial, recompute};
use crate::operators::statement::{Context, Emit};
use crate::operators::stored;
use crate::operators::testing::context;
use crate::plan::{Node, Output, Plan, Source, compile};
use crate::tree::testing::{
    aggregate, condition, distinct, filter, filtered, group, numeric, project, scan,
};
use crate::tree::{Aggregate, AggregateKind, Relation};

/// `SELECT g, … FROM r GROUP BY a` (or without GROUP BY).
fn grouping(keys: &[(u32, &str, &str)], aggregates: Vec<Aggregate>) -> Relation {
    group(scan(1, 10, "r"), keys, aggregates)
}

const BY_A: &[(u32, &str, &str)] = &[(21, "g", "$11")];

struct Compiled(Plan);

impl Compiled {
    fn of(relation: Relation) -> Self {
        Compiled(compile(relation).expect("supported"))
    }

    fn node(&self) -> &Node {
        &self.0.nodes[0]
    }

    fn context(&self) -> Context<'_> {
        context(&self.0)
    }

    fn emit(&self) -> Emit<'_> {
        match &self.0.output {
            Output::Post {
                predicates, exprs, ..
            } => Emit {
                predicates,
                exprs: exprs.into(),
                with_old: false,
            },
            Output::Linear { .. } => panic!("the node is the last one"),
        }
    }

    fn delta(&self) -> String {
        let changed = [Source::Table(1)].into_iter().collect();
        delta(self.context(), self.node(), &changed)
            .terms
            .expect("the table changed")
    }
}

fn sums() -> Compiled {
    Compiled::of(grouping(
        BY_A,
        vec![
            aggregate(22, AggregateKind::SumInteger, "$12"),
            aggregate(23, AggregateKind::AvgInteger, "$12"),
        ],
    ))
}

#[test]
fn the_delta_of_a_sum_counts_its_inputs() {
    assert_snapshot!(sums().delta(), @r"
    SELECT d.k0, sum(d.__pgt_w)::bigint AS d, coalesce(sum(d.__pgt_w) FILTER (WHERE (d.x0) IS DISTINCT FROM NULL), 0)::bigint AS d0, coalesce(sum((d.x0)::bigint * d.__pgt_w), 0)::bigint AS d1
    FROM (
    SELECT s0.a1 AS k0, s0.a2 AS x0, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0
    ) AS d
    GROUP BY d.k0
    ");
}

#[test]
fn state_has_the_same_types_from_nothing_and_by_deltas() {
    let sums = sums();
    assert_snapshot!(initial(sums.context(), sums.node()), @r"
    SELECT d.k0 AS k0, count(*) AS n, count(d.x0) AS a0, coalesce(sum((d.x0)::integer), 0)::bigint AS a1
    FROM (
    SELECT s0.a AS k0, s0.b AS x0, 1 AS __pgt_w
    FROM r AS s0
    ) AS d
    GROUP BY d.k0
    ");
}

#[test]
fn results_follow_from_state() {
    assert_snapshot!(stored::output(sums().node(), "st_0"), @"SELECT k0 AS c0, CASE WHEN a0 <> 0 THEN a1 END AS c1, CASE WHEN a0 <> 0 THEN (a1)::numeric / a0 END AS c2 FROM st_0");
}

#[test]
fn a_sum_combines_without_recomputation() {
    let sums = sums();
    assert_snapshot!(combine(sums.node(), &sums.emit()), @r"
    SELECT recompute, present, k0, n, a0, a1, new_keep, k0, f0, f1
    FROM (SELECT *, present AS new_keep
    FROM (SELECT *, CASE WHEN a0 <> 0 THEN a1 END AS f0, CASE WHEN a0 <> 0 THEN (a1)::numeric / a0 END AS f1, n > 0 AS present
    FROM (SELECT *, coalesce(o_n, 0) + d AS n, coalesce(o_a0, 0) + d0 AS a0, coalesce(o_a1, 0) + d1 AS a1, false AS recompute
    FROM __pgt_groups
    OFFSET 0) AS g) AS g) AS g
    ");
}

#[test]
fn an_extremum_is_recomputed_when_a_removed_value_reaches_it() {
    let max = Compiled::of(grouping(
        BY_A,
        vec![aggregate(22, AggregateKind::Max, "$12")],
    ));
    assert_snapshot!(max.delta(), @r"
    SELECT d.k0, sum(d.__pgt_w)::bigint AS d, max(d.x0) FILTER (WHERE d.__pgt_w > 0) AS d0, max(d.x0) FILTER (WHERE d.__pgt_w < 0) AS r0
    FROM (
    SELECT s0.a1 AS k0, s0.a2 AS x0, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0
    ) AS d
    GROUP BY d.k0
    ");
    assert_snapshot!(combine(max.node(), &max.emit()), @r"
    SELECT recompute, present, k0, n, a0, new_keep, k0, f0
    FROM (SELECT *, present AND NOT recompute AS new_keep
    FROM (SELECT *, a0 AS f0, n > 0 AS present
    FROM (SELECT *, coalesce(o_n, 0) + d AS n, greatest(o_a0, d0) AS a0, (coalesce(o_n, 0) + d > 0 AND (coalesce(r0 IS DISTINCT FROM NULL AND (o_a0 IS NOT DISTINCT FROM NULL OR r0 >= o_a0), false))) AS recompute
    FROM __pgt_groups
    OFFSET 0) AS g) AS g) AS g
    ");
    assert_snapshot!(recompute(max.context(), max.node(), &max.emit(), &[false]), @r"
    SELECT ord, k0, n, a0, new_keep, k0, f0
    FROM (SELECT *, true AS new_keep
    FROM (SELECT *, a0 AS f0
    FROM (SELECT min(t.ord) AS ord, d.k0 AS k0, count(*) AS n, max(d.x0) AS a0
    FROM __pgt_touched AS t, (
    SELECT s0.a AS k0, s0.b AS x0, 1 AS __pgt_w
    FROM r AS s0
    ) AS d
    WHERE d.k0 = t.k0
    GROUP BY d.k0) AS g) AS g) AS g
    ");
}

#[test]
fn a_null_key_is_looked_up_by_a_null_test() {
    let max = Compiled::of(grouping(
        BY_A,
        vec![aggregate(22, AggregateKind::Max, "$12")],
    ));
    let sql = recompute(max.context(), max.node(), &max.emit(), &[true]);
    let condition = sql.lines().find(|line| line.starts_with("WHERE"));
    assert_snapshot!(condition.unwrap_or_default(), @"WHERE d.k0 IS NOT DISTINCT FROM NULL");
}

#[test]
fn without_group_by_an_extremum_is_recomputed_even_when_nothing_is_left() {
    let max = Compiled::of(grouping(
        &[],
        vec![aggregate(22, AggregateKind::Max, "$12")],
    ));
    assert_snapshot!(combine(max.node(), &max.emit()), @r"
    SELECT recompute, present, n, a0, new_keep, f0
    FROM (SELECT *, present AND NOT recompute AS new_keep
    FROM (SELECT *, a0 AS f0, true AS present
    FROM (SELECT *, coalesce(o_n, 0) + d AS n, greatest(o_a0, d0) AS a0, ((coalesce(r0 IS DISTINCT FROM NULL AND (o_a0 IS NOT DISTINCT FROM NULL OR r0 >= o_a0), false))) AS recompute
    FROM __pgt_groups
    OFFSET 0) AS g) AS g) AS g
    ");
    assert_snapshot!(max.delta(), @r"
    SELECT sum(d.__pgt_w)::bigint AS d, max(d.x0) FILTER (WHERE d.__pgt_w > 0) AS d0, max(d.x0) FILTER (WHERE d.__pgt_w < 0) AS r0
    FROM (
    SELECT s0.a2 AS x0, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0
    ) AS d
    HAVING count(*) > 0
    ");
}

#[test]
fn having_decides_which_rows_are_kept() {
    let counted = grouping(BY_A, vec![aggregate(22, AggregateKind::CountStar, "")]);
    let counted = Compiled::of(filter(counted, vec![condition("($22 > 1)")]));
    let emit = Emit {
        with_old: true,
        ..counted.emit()
    };
    assert_snapshot!(combine(counted.node(), &emit), @r"
    SELECT recompute, present, k0, n, old_keep, o_k0, of0, new_keep, k0, f0
    FROM (SELECT *, CASE WHEN found THEN coalesce(((of0 > 1)), false) ELSE false END AS old_keep, CASE WHEN present THEN coalesce(((f0 > 1)), false) ELSE false END AS new_keep
    FROM (SELECT *, n AS f0, o_n AS of0, n > 0 AS present
    FROM (SELECT *, coalesce(o_n, 0) + d AS n, false AS recompute
    FROM __pgt_groups
    OFFSET 0) AS g) AS g) AS g
    ");
}

#[test]
fn null_inputs_have_no_display_scale() {
    let mut sum = aggregate(22, AggregateKind::SumNumeric { scale: None }, "$12");
    if let Some(argument) = &mut sum.argument {
        argument.ty = numeric();
    }
    let summed = Compiled::of(grouping(BY_A, vec![sum]));
    assert_snapshot!(summed.delta(), @r"
    SELECT d.k0, sum(d.__pgt_w)::bigint AS d, coalesce(sum(d.__pgt_w) FILTER (WHERE (d.x0) IS DISTINCT FROM NULL), 0)::bigint AS d0, coalesce(sum((d.x0)::numeric * d.__pgt_w), 0)::numeric AS d1, coalesce(sum(('1e' || (8 * least(scale(d.x0), 12000))::text)::numeric * d.__pgt_w) FILTER (WHERE scale(d.x0) IS NOT NULL), 0) AS d2
    FROM (
    SELECT s0.a1 AS k0, s0.a2 AS x0, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0
    ) AS d
    GROUP BY d.k0
    ");
    assert_snapshot!(stored::output(summed.node(), "st_0"), @"SELECT k0 AS c0, CASE WHEN a0 <> 0 THEN round(a1, ((length(trunc(a2)::text) - 1) / 8)) END AS c1 FROM st_0");
    assert_snapshot!(combine(summed.node(), &summed.emit()), @r"
    SELECT recompute, present, k0, n, a0, a1, a2, new_keep, k0, f0
    FROM (SELECT *, present AND NOT recompute AS new_keep
    FROM (SELECT *, CASE WHEN a0 <> 0 THEN round(a1, ((length(trunc(a2)::text) - 1) / 8)) END AS f0, n > 0 AS present
    FROM (SELECT *, coalesce(o_n, 0) + d AS n, coalesce(o_a0, 0) + d0 AS a0, coalesce(o_a1, 0) + d1 AS a1, coalesce(o_a2, 0) + d2 AS a2, (coalesce(o_n, 0) + d > 0 AND (coalesce((coalesce(o_a1, 0) + d1) IN ('NaN', 'Infinity', '-Infinity'), false) OR coalesce(((length(trunc((coalesce(o_a2, 0) + d2))::text) - 1) / 8) >= 12000, false))) AS recompute
    FROM __pgt_groups
    OFFSET 0) AS g) AS g) AS g
    ");
}

#[test]
fn a_filter_is_part_of_every_accumulator() {
    let counted = Compiled::of(grouping(
        BY_A,
        vec![
            filtered(aggregate(22, AggregateKind::CountStar, ""), "($13 > 0)"),
            filtered(
                aggregate(23, AggregateKind::BoolOr, "($12 = 1)"),
                "($13 > 0)",
            ),
        ],
    ));
    assert_snapshot!(counted.delta(), @r"
    SELECT d.k0, sum(d.__pgt_w)::bigint AS d, coalesce(sum(d.__pgt_w) FILTER (WHERE ((d.x1 > 0))), 0)::bigint AS d0, coalesce(sum(d.__pgt_w) FILTER (WHERE ((d.x1 > 0)) AND ((d.x0 = 1)) IS DISTINCT FROM NULL), 0)::bigint AS d1, coalesce(sum(d.__pgt_w) FILTER (WHERE ((d.x1 > 0)) AND ((d.x0 = 1))), 0)::bigint AS d2
    FROM (
    SELECT s0.a1 AS k0, s0.a2 AS x0, s0.a3 AS x1, s0.__pgt_w AS __pgt_w
    FROM __pgt_delta_1 AS s0
    ) AS d
    GROUP BY d.k0
    ");
}

#[test]
fn a_distinct_row_that_stays_is_no_change() {
    let distinct = Compiled::of(distinct(project(scan(1, 10, "r"), &[(21, "x", "$11")])));
    let emit = Emit {
        with_old: true,
        ..distinct.emit()
    };
    assert_snapshot!(combine(distinct.node(), &emit), @r"
    SELECT recompute, present, k0, n, old_keep, o_k0, new_keep, k0
    FROM (SELECT *, found AND NOT present AS old_keep, present AND NOT found AS new_keep
    FROM (SELECT *, n > 0 AS present
    FROM (SELECT *, coalesce(o_n, 0) + d AS n, false AS recompute
    FROM __pgt_groups
    OFFSET 0) AS g) AS g) AS g
    ");
}

#[test]
fn a_direct_argument_reads_the_key() {
    for (key, argument) in [("$11", "$21"), ("$11", "$11"), ("($11 / 4)", "$21")] {
        let text = format!("percentile_cont({argument}) WITHIN GROUP (ORDER BY $12)");
        let call = aggregate(22, AggregateKind::Recompute, &text);
        let node = Compiled::of(grouping(&[(21, "g", key)], vec![call]));
        let sql = initial(node.context(), node.node());
        let expected = "percentile_cont(d.k0) WITHIN GROUP (ORDER BY d.x";
        assert!(sql.contains(expected), "{sql}");
    }
}

//! Plans in words.

use insta::assert_snapshot;

use super::{Independence, compile};
use crate::tree::testing::{
    aggregate, bounded, condition, distinct, equal, filter, filtered, group, join, keyed_scan,
    of_distinct, opaque, project, scan, union_all,
};
use crate::tree::{AggregateKind, Predicate, Relation};

fn plan(relation: Relation) -> String {
    compile(relation).expect("supported").to_string()
}

#[test]
fn a_join_is_one_linear_block() {
    let both = join(
        scan(1, 10, "r"),
        scan(2, 20, "s"),
        vec![equal("$11", "$21")],
    );
    let both = filter(both, vec![condition("($12 > 0)")]);
    assert_snapshot!(plan(project(both, &[(31, "a", "$11"), (32, "c", "$23")])), @r"
    output: linear
      r ⋈ s where (a = a) and (b > 0)
    rows match by image
    ");
}

#[test]
fn a_primary_key_that_is_shown_identifies_rows() {
    let both = join(
        keyed_scan(1, 10, "r"),
        keyed_scan(2, 20, "s"),
        vec![equal("$12", "$21")],
    );
    assert_snapshot!(plan(project(both, &[(31, "a", "$11"), (32, "c", "$23")])), @r"
    output: linear
      r ⋈ s where (b = a)
    rows match by key (a)
    ");
}

#[test]
fn rows_are_independent_of_each_other_only_where_nothing_but_the_change_is_read() {
    let independence = |relation| compile(relation).expect("supported").independence();
    let independent = |relation| independence(relation).is_some();
    let summed = |input: Relation, kind: AggregateKind| {
        group(input, &[(14, "g", "$11")], vec![aggregate(15, kind, "$12")])
    };
    let shown = |relation| project(relation, &[(21, "g", "$14"), (22, "s", "$15")]);
    let sum = || summed(scan(1, 10, "r"), AggregateKind::SumInteger);
    assert!(independent(project(scan(1, 10, "r"), &[(21, "x", "$11")])));
    assert!(independent(shown(sum())));
    // Rows of different groups can be the same row of the result.
    assert!(!independent(project(sum(), &[(21, "s", "$15")])));
    // The rest of a group, in its order.
    assert!(!independent(shown(summed(
        scan(1, 10, "r"),
        AggregateKind::Recompute
    ))));
    // The rest of a group, when its extremum leaves.
    let greatest = independence(shown(summed(scan(1, 10, "r"), AggregateKind::Max)));
    let expected = Independence {
        joined: Vec::new(),
        rereads: true,
    };
    assert_eq!(greatest, Some(expected));
    let arms = || (scan(1, 10, "r"), vec!["$11"]);
    assert!(!independent(union_all(&[(21, "x")], vec![arms(), arms()])));
}

#[test]
fn rows_of_two_tables_are_independent_of_those_with_other_values_in_the_join() {
    let independence = |relation| compile(relation).expect("supported").independence();
    let two = |on: Vec<Predicate>| join(scan(1, 10, "r"), scan(2, 20, "s"), on);
    let shown = |relation| project(relation, &[(31, "a", "$11")]);
    let expected = Independence {
        joined: vec![(1, vec![1, 2]), (2, vec![1, 3])],
        rereads: false,
    };
    let by_two = vec![equal("$11", "$21"), equal("$23", "$12")];
    assert_eq!(independence(shown(two(by_two))), Some(expected));
    let summed = group(
        two(vec![equal("$11", "$21")]),
        &[(14, "g", "$22")],
        vec![aggregate(15, AggregateKind::SumInteger, "$12")],
    );
    let summed = project(summed, &[(32, "g", "$14"), (33, "s", "$15")]);
    let expected = Independence {
        joined: vec![(1, vec![1]), (2, vec![1])],
        rereads: false,
    };
    assert_eq!(independence(summed), Some(expected));
    // A change can meet any row, a row of its own table, or one of a third through a second.
    assert_eq!(
        independence(shown(two(vec![condition("($11 < $21)")]))),
        None
    );
    let same = join(
        scan(1, 10, "r"),
        scan(1, 20, "r"),
        vec![equal("$11", "$21")],
    );
    assert_eq!(independence(shown(same)), None);
    let three = join(
        two(vec![equal("$11", "$21")]),
        scan(3, 40, "t"),
        vec![equal("$22", "$41")],
    );
    assert_eq!(independence(shown(three)), None);
}

#[test]
fn joins_distribute_over_bag_unions() {
    let arms = || (scan(1, 10, "r"), vec!["$11"]);
    let union = union_all(&[(21, "x")], vec![arms(), arms()]);
    let both = join(union, scan(3, 30, "t"), vec![equal("$21", "$31")]);
    assert_snapshot!(plan(project(both, &[(41, "x", "$21")])), @r"
    output: linear
      r ⋈ t where (a = a)
      r ⋈ t where (a = a)
    rows match by image
    ");
}

#[test]
fn a_filter_above_a_projection_reads_what_the_projection_reads() {
    let narrow = project(scan(1, 10, "r"), &[(21, "x", "($11 + $12)")]);
    assert_snapshot!(plan(filter(narrow, vec![condition("($21 > 3)")])), @r"
    output: linear
      r where (((a + b)) > 3)
    rows match by image
    ");
}

#[test]
fn copies_of_one_grouping_share_a_node() {
    let counted = |base: u32| {
        let (key, value) = (format!("${}", base + 1), format!("${}", base + 2));
        let sum = aggregate(base + 5, AggregateKind::SumInteger, &value);
        group(scan(1, base, "r"), &[(base + 4, "g", &key)], vec![sum])
    };
    let self_join = join(counted(10), counted(20), vec![equal("$14", "$25")]);
    assert_snapshot!(plan(project(self_join, &[(41, "x", "$15")])), @r"
    node 0: aggregate by (g)
      state: row count and 2 accumulators
      stored in a state table
      r
    output: linear
      node 0 ⋈ node 0 where (g = sum)
    rows match by image
    ");
}

#[test]
fn a_grouping_whose_state_is_visible_needs_no_state_table() {
    let counted = group(
        scan(1, 10, "r"),
        &[(21, "g", "$11")],
        vec![
            aggregate(22, AggregateKind::CountStar, ""),
            aggregate(23, AggregateKind::Min, "$12"),
        ],
    );
    assert_snapshot!(plan(counted), @r"
    node 0: aggregate by (g)
      state: row count and 1 accumulators
      the stream table is its own state
      r
    output: projection of the last node
    rows match by key (g)
    ");
}

#[test]
fn an_average_needs_a_state_table() {
    let averaged = group(
        scan(1, 10, "r"),
        &[(21, "g", "$11")],
        vec![
            aggregate(22, AggregateKind::AvgInteger, "$12"),
            aggregate(23, AggregateKind::SumInteger, "$12"),
            aggregate(24, AggregateKind::Count, "$12"),
        ],
    );
    assert_snapshot!(plan(averaged), @r"
    node 0: aggregate by (g)
      state: row count and 2 accumulators
      stored in a state table
      r
    output: projection of the last node
    rows match by key (g)
    ");
}

#[test]
fn an_aggregate_without_a_rule_is_recomputed_by_group() {
    let ranged = group(
        scan(1, 10, "r"),
        &[(21, "g", "$11")],
        vec![aggregate(22, AggregateKind::Recompute, "$12")],
    );
    assert_snapshot!(plan(ranged), @r"
    node 0: aggregate by (g)
      touched groups are recomputed
      no state
      r
    output: projection of the last node
    rows match by key (g)
    ");
}

#[test]
fn having_filters_the_last_node() {
    let counted = group(
        scan(1, 10, "r"),
        &[],
        vec![aggregate(22, AggregateKind::CountStar, "")],
    );
    assert_snapshot!(plan(filter(counted, vec![condition("($22 > 1)")])), @r"
    node 0: aggregate by ()
      state: row count and 0 accumulators
      stored in a state table
      r
    output: projection of the last node
      1 conditions
    a single row
    ");
}

#[test]
fn a_hidden_group_key_leaves_only_the_image() {
    let counted = group(
        scan(1, 10, "r"),
        &[(21, "g", "$11")],
        vec![aggregate(22, AggregateKind::CountStar, "")],
    );
    assert_snapshot!(plan(project(counted, &[(31, "n", "$22")])), @r"
    node 0: aggregate by (g)
      state: row count and 0 accumulators
      stored in a state table
      r
    output: projection of the last node
    rows match by image
    ");
}

#[test]
fn a_distinct_aggregate_stacks_on_a_distinct_node() {
    let counted = group(
        scan(1, 10, "r"),
        &[(21, "g", "$11")],
        vec![
            aggregate(22, AggregateKind::SumInteger, "$13"),
            filtered(
                of_distinct(aggregate(23, AggregateKind::Count, "$12")),
                "($13 > 0)",
            ),
        ],
    );
    assert_snapshot!(plan(counted), @r"
    node 0: distinct by (g, distinct)
      state: row count and 0 accumulators
      stored in a state table
      r where (c > 0)
    node 1: aggregate by (g)
      state: row count and 3 accumulators
      stored in a state table
      r
      node 0
    output: projection of the last node
    rows match by key (g)
    ");
}

#[test]
fn a_grouping_that_is_joined_keeps_state_of_its_own() {
    let counted = group(
        scan(1, 10, "r"),
        &[(21, "g", "$11")],
        vec![aggregate(22, AggregateKind::CountStar, "")],
    );
    let both = join(counted, keyed_scan(3, 30, "k"), vec![equal("$21", "$31")]);
    assert_snapshot!(plan(distinct(both)), @r"
    node 0: aggregate by (g)
      state: row count and 0 accumulators
      stored in a state table
      r
    node 1: distinct by (g, count, a, b, c)
      state: row count and 0 accumulators
      stored in a state table
      node 0 ⋈ k where (g = a)
    output: projection of the last node
    rows match by key (g, count, a, b, c)
    ");
}

#[test]
fn a_constant_row_is_a_block_without_scans() {
    assert_snapshot!(plan(project(Relation::SingleRow, &[(1, "one", "1")])), @r"
    output: linear
      constant row
    rows match by image
    ");
}

#[test]
fn joins_over_wide_bag_unions_keep_the_rows_of_one() {
    let wide = |base: u32| {
        let arms = (0..9)
            .map(|_| (scan(1, base, "r"), vec!["1"]))
            .collect::<Vec<_>>();
        union_all(&[(base + 9, "x")], arms)
    };
    let both = compile(join(wide(10), wide(20), Vec::new())).expect("supported");
    assert_eq!(both.nodes.len(), 1, "{both}");
    let branches: Vec<usize> = both.blocks().map(|block| block.branches.len()).collect();
    assert_eq!(branches, [9, 1], "{both}");
}

#[test]
fn subqueries_computed_as_a_whole_have_images_that_copies_share() {
    let tree = |base: u32| {
        let columns = [(base + 1, "a"), (base + 2, "b")];
        Relation::Opaque(opaque("WITH RECURSIVE q …", &columns, &[7]))
    };
    let both = join(tree(10), tree(20), vec![equal("$11", "$22")]);
    let bound = opaque("SELECT now()", &[(31, "bound")], &[]);
    assert_snapshot!(plan(bounded(both, "$12", ">", bound)), @r"
    image 0: recomputed whole when its sources change
      WITH RECURSIVE q …
    bound 1: a value that changes with time
      SELECT now()
    output: linear
      image 0 ⋈ image 0 ⋈ b > bound 1 where (a = b)
    rows match by image
    ");
}

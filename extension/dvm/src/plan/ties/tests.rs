//! Which orders settle what is visible, and which are refused.

use crate::plan::Partition;
use crate::plan::compile;
use crate::tree::testing::{
    aggregate, column, equal, expr, first_rows, group, integer, join, keyed_scan, left_join,
    project, scan, sort_key,
};
use crate::tree::{AggregateKind, Relation, SortKey, Ties, WindowCall};

/// Whether the first row in this order is the same however ties fall.
fn is_settled(relation: Relation, order: &[&str]) -> bool {
    let keys = order.iter().map(|c| sort_key(c, "ASC NULLS LAST"));
    compile(first_rows(relation, &[], keys.collect(), 0, Some(1), false)).is_ok()
}

fn pair() -> Relation {
    let on = vec![equal("$12", "$21")];
    join(keyed_scan(1, 10, "k"), keyed_scan(2, 20, "l"), on)
}

#[test]
fn a_key_settles_what_depends_on_it() {
    for (relation, order, settled) in [
        (keyed_scan(1, 10, "k"), vec!["$11"], true),
        (keyed_scan(1, 10, "k"), vec!["$12", "$11"], true),
        (keyed_scan(1, 10, "k"), vec!["$12", "$13"], false),
        (scan(1, 10, "r"), vec!["$11"], false),
        (scan(1, 10, "r"), vec!["$13", "$12", "$11"], true),
        (
            project(scan(1, 10, "r"), &[(31, "x", "$12")]),
            vec!["$31"],
            true,
        ),
        (project(scan(1, 10, "r"), &[(31, "x", "1")]), vec![], true),
    ] {
        assert_eq!(is_settled(relation, &order), settled, "{order:?}");
    }
}

#[test]
fn an_order_goes_on_no_further_than_it_tells_rows_apart() {
    let kept = |relation: Relation, keys: Vec<SortKey>| {
        let plan = compile(first_rows(relation, &[], keys, 0, Some(1), false));
        match plan.expect("settled").nodes[0].partition() {
            Some(Partition::TopN { order, .. }) => order.len(),
            _ => panic!("first rows are a partition"),
        }
    };
    let sorted = |names: &[&str]| -> Vec<SortKey> {
        let keys = names.iter().map(|c| sort_key(c, "ASC NULLS LAST"));
        keys.collect()
    };
    let all = ["$12", "$11", "$13"];
    assert_eq!(kept(keyed_scan(1, 10, "k"), sorted(&all)), 2);
    assert_eq!(kept(scan(1, 10, "r"), sorted(&all)), 3);
    let columns = scan(1, 10, "r").columns();
    let mut by_image = sorted(&["$12"]);
    by_image.push(SortKey::by_image(&columns.iter().collect::<Vec<_>>()));
    assert_eq!(kept(scan(1, 10, "r"), by_image.clone()), 2);
    by_image.insert(1, sort_key("$11", "ASC NULLS LAST"));
    assert_eq!(kept(keyed_scan(1, 10, "k"), by_image), 2);
}

#[test]
fn equalities_carry_keys_through_joins() {
    assert!(is_settled(pair(), &["$11"]));
    assert!(!is_settled(pair(), &["$21"]));
    let outer = |on| left_join(keyed_scan(1, 10, "k"), keyed_scan(2, 20, "l"), on);
    assert!(is_settled(outer(vec![equal("$12", "$21")]), &["$11"]));
    assert!(!is_settled(outer(vec![equal("$12", "$22")]), &["$11"]));
}

#[test]
fn keys_of_groups_carry_what_depends_on_them() {
    let grouped = |keys: &[(u32, &str, &str)]| {
        group(
            pair(),
            keys,
            vec![aggregate(41, AggregateKind::CountStar, "")],
        )
    };
    let by_key = grouped(&[(31, "x", "$11"), (32, "y", "$13"), (33, "z", "$22")]);
    assert!(is_settled(by_key.clone(), &["$41", "$31"]));
    assert!(!is_settled(by_key, &["$41", "$33"]));
    let by_others = grouped(&[(31, "x", "$12"), (32, "y", "$13"), (33, "z", "$22")]);
    assert!(!is_settled(by_others.clone(), &["$41", "$31"]));
    assert!(is_settled(by_others, &["$31", "$32"]));
}

#[test]
fn duplicates_have_no_places_in_two_orders() {
    let numbered = |id, keys: [&str; 3]| WindowCall {
        column: column(id, "n", integer()),
        function: expr("row_number()"),
        arguments: Vec::new(),
        partition: Vec::new(),
        order: keys.map(|c| sort_key(c, "ASC NULLS LAST")).to_vec(),
        frame: String::new(),
        ties: Ties::Rows,
        reach: None,
    };
    let windowed = |input, other: [&str; 3]| {
        compile(Relation::Window {
            input: Box::new(input),
            partition: Vec::new(),
            calls: vec![numbered(31, ["$11", "$12", "$13"]), numbered(32, other)],
        })
    };
    assert!(windowed(scan(1, 10, "r"), ["$11", "$12", "$13"]).is_ok());
    let refused = windowed(scan(1, 10, "r"), ["$13", "$12", "$11"]).map(|plan| plan.to_string());
    insta::assert_snapshot!(refused.expect_err("refused"), @"the result of window functions with different orders over duplicate rows depends on the order of rows that tie in its ORDER BY");
    assert!(windowed(keyed_scan(1, 10, "k"), ["$13", "$12", "$11"]).is_ok());
}

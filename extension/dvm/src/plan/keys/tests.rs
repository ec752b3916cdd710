//! By which columns the rows of queries are identified.

use super::*;
use crate::plan::compile;
use crate::tree::testing::{
    aggregate, column, equal, expr, filter, group, integer, join, keyed_scan, numeric, project,
    scan, scan_of,
};
use crate::tree::{AggregateKind, ColumnType, Index, Relation};

fn identity(relation: Relation) -> Identity {
    let plan = compile(relation).expect("supported");
    plan.output.identity().clone()
}

fn key(columns: &[usize]) -> Identity {
    Identity::Key {
        columns: columns.to_vec(),
        unique_index: true,
    }
}

fn r_and_s(condition: Predicate) -> Relation {
    join(
        keyed_scan(1, 10, "r"),
        keyed_scan(2, 20, "s"),
        vec![condition],
    )
}

#[test]
fn a_join_is_identified_by_the_keys_that_nothing_else_fixes() {
    let both = || r_and_s(equal("$12", "$22"));
    let by_key = || r_and_s(equal("$12", "$21"));
    let table: [(&str, Relation, Identity); 7] = [
        (
            "one table by its key",
            project(
                keyed_scan(1, 10, "r"),
                &[(31, "b", "$12"), (32, "a", "$11")],
            ),
            key(&[1]),
        ),
        (
            "a computed key is not the key",
            project(keyed_scan(1, 10, "r"), &[(31, "a", "($11 + 0)")]),
            Identity::Image,
        ),
        (
            "a table without a key",
            project(scan(1, 10, "r"), &[(31, "a", "$11")]),
            Identity::Image,
        ),
        (
            "neither key fixes the other",
            project(both(), &[(31, "ra", "$11"), (32, "sa", "$21")]),
            key(&[0, 1]),
        ),
        (
            "one of two keys is hidden",
            project(both(), &[(31, "ra", "$11"), (32, "sb", "$22")]),
            Identity::Image,
        ),
        (
            "the key of s is fixed by r",
            project(by_key(), &[(31, "sb", "$22"), (32, "ra", "$11")]),
            key(&[1]),
        ),
        (
            "keys equal to each other show for each other",
            project(
                r_and_s(equal("$11", "$21")),
                &[(31, "sa", "$21"), (32, "rb", "$12")],
            ),
            key(&[0]),
        ),
    ];
    for (name, relation, expected) in table {
        assert_eq!(identity(relation), expected, "{name}");
    }
}

#[test]
fn computed_rows_are_told_apart_by_the_row_they_come_from_and_their_own_key() {
    let numbered = |key: Option<Vec<usize>>, conjuncts: Vec<Predicate>| {
        let columns = vec![column(21, "u", integer()), column(22, "n", integer())];
        let item = expr("unnest($12) WITH ORDINALITY").parts;
        let rows = Relation::expand(keyed_scan(1, 10, "r"), item, columns, key);
        let shown = [(31, "a", "$11"), (32, "u", "$21"), (33, "n", "$22")];
        identity(project(filter(rows, conjuncts), &shown))
    };
    let ordinal = || Some(vec![1]);
    assert_eq!(numbered(ordinal(), Vec::new()), key(&[0, 2]));
    assert_eq!(numbered(Some(Vec::new()), Vec::new()), key(&[0]));
    assert_eq!(numbered(None, Vec::new()), Identity::Image);
    // What is computed from a row does not fix that row.
    let same = equal("$11", "$21");
    assert_eq!(numbered(ordinal(), vec![same]), key(&[0, 2]));
}

#[test]
fn a_key_is_fixed_by_computed_rows_that_it_does_not_feed() {
    let columns = vec![column(21, "u", integer()), column(22, "n", integer())];
    let item = expr("unnest($12) WITH ORDINALITY").parts;
    let rows = Relation::expand(keyed_scan(1, 10, "r"), item, columns, Some(vec![1]));
    let both = join(rows, keyed_scan(2, 30, "s"), vec![equal("$21", "$31")]);
    let shown = [(41, "a", "$11"), (42, "n", "$22"), (43, "b", "$32")];
    assert_eq!(identity(project(both, &shown)), key(&[0, 1]));
}

#[test]
fn an_equality_with_itself_fixes_nothing() {
    let odd = filter(keyed_scan(1, 10, "r"), vec![equal("$11", "$12")]);
    assert_eq!(identity(project(odd, &[(31, "c", "$13")])), Identity::Image);
}

#[test]
fn two_tables_that_fix_each_other_keep_one_key() {
    let both = join(
        keyed_scan(1, 10, "r"),
        keyed_scan(2, 20, "s"),
        vec![equal("$11", "$22"), equal("$21", "$12")],
    );
    let shown = project(both, &[(31, "ra", "$11"), (32, "sc", "$23")]);
    // r.a = s.b and s.a = r.b: the row of s fixes that of r, and r.b shows nowhere, but one of
    // the two keys must.
    assert_eq!(identity(shown), Identity::Image);
}

#[test]
fn a_composite_key_must_be_fixed_as_a_whole() {
    let columns = [("a", integer()), ("b", integer()), ("c", integer())];
    let mut lines = scan_of(2, 20, "lines", &columns);
    lines.indexes = vec![Index {
        attnums: vec![Some(1), Some(2)],
        identifies_row: true,
    }];
    let both = join(
        keyed_scan(1, 10, "r"),
        Relation::Scan(lines),
        vec![equal("$11", "$21")],
    );
    let shown = |columns| identity(project(both.clone(), columns));
    assert_eq!(
        shown(&[(31, "a", "$11"), (32, "b", "$22")]),
        key(&[0, 1]),
        "the order is fixed by its line"
    );
    assert_eq!(
        shown(&[(31, "a", "$11"), (32, "c", "$23")]),
        Identity::Image
    );
}

fn with_key_of(ty: &ColumnType, oid: u32, base: u32) -> Relation {
    let mut scan = scan_of(oid, base, "r", &[("a", ty.clone())]);
    scan.indexes = vec![Index {
        attnums: vec![Some(1)],
        identifies_row: true,
    }];
    Relation::Scan(scan)
}

#[test]
fn keys_that_may_not_fit_in_an_index_together_are_found_by_a_hash() {
    let long = ColumnType {
        bounded: false,
        ..integer()
    };
    let vague = ColumnType {
        bounded: false,
        ..numeric()
    };
    let pair = |ty: &ColumnType| {
        identity(join(
            with_key_of(ty, 1, 10),
            with_key_of(ty, 2, 20),
            Vec::new(),
        ))
    };
    let unique = |identity| {
        matches!(
            identity,
            Identity::Key {
                unique_index: true,
                ..
            }
        )
    };
    assert!(
        unique(identity(with_key_of(&long, 1, 10))),
        "it fits in r's own index"
    );
    assert!(unique(pair(&integer())));
    assert!(!unique(pair(&long)));
    assert!(!unique(pair(&vague)));
}

#[test]
fn an_index_has_32_columns() {
    let key = |n| vec![integer(); n];
    assert!(fits_index(&key(32)));
    assert!(!fits_index(&key(33)));
}

#[test]
fn a_grouping_is_identified_by_its_keys_and_a_single_row_by_nothing() {
    let count = || vec![aggregate(22, AggregateKind::CountStar, "")];
    let grouped = group(scan(1, 10, "r"), &[(21, "g", "$11")], count());
    assert_eq!(identity(grouped), key(&[0]));
    assert_eq!(identity(group(scan(1, 10, "r"), &[], count())), key(&[]));
}

#[test]
fn a_text_key_of_any_length_is_found_by_its_image() {
    let long = ColumnType {
        bounded: false,
        ..integer()
    };
    let scan = Relation::Scan(scan_of(1, 10, "r", &[("a", long.clone())]));
    let distinct = Relation::Distinct {
        input: Box::new(Relation::Project {
            input: Box::new(scan),
            columns: vec![(
                column(21, "a", long.clone()),
                Expr::column(ColumnId(11), long, true),
            )],
        }),
    };
    assert_eq!(
        identity(distinct),
        Identity::Key {
            columns: vec![0],
            unique_index: false
        }
    );
}

//! Tables `d` and `e` are distributed by their first columns, `w` is whole.

use super::*;
use crate::tree::AggregateKind;
use crate::tree::testing::{
    aggregate, bounded, column, condition, distinct, equal, filter, first_rows, full_join, group,
    join, left_join, opaque, project, scan, sort_key, union_all,
};

const D: u32 = 1;
const E: u32 = 2;
const W: u32 = 3;

fn d() -> Relation {
    scan(D, 10, "d")
}

fn e() -> Relation {
    scan(E, 20, "e")
}

fn w() -> Relation {
    scan(W, 30, "w")
}

fn spread(relation: &Relation) -> Result<Vec<usize>, Crossing> {
    let tables = [(D, Spread::By(1)), (E, Spread::By(1)), (W, Spread::Whole)];
    spread_of(relation, &BTreeMap::from(tables))
}

fn counted(input: Relation, key: &str) -> Relation {
    let count = aggregate(92, AggregateKind::CountStar, "");
    group(input, &[(91, "k", key)], vec![count])
}

fn apply(input: Relation, subquery: Relation, kind: ApplyKind) -> Relation {
    Relation::Apply {
        input: Box::new(input),
        subquery: Box::new(subquery),
        kind,
    }
}

fn exists() -> ApplyKind {
    ApplyKind::Exists {
        present: column(99, "present", crate::tree::testing::boolean()),
    }
}

#[test]
fn a_projection_keeps_the_distribution_column_or_loses_it() {
    assert_eq!(spread(&d()), Ok(vec![0]));
    let shown = project(d(), &[(91, "c", "$13"), (92, "a", "$11")]);
    assert_eq!(spread(&shown), Ok(vec![1]));
    assert_eq!(
        spread(&project(d(), &[(91, "b", "$12")])),
        Err(Crossing::Output)
    );
    assert_eq!(
        spread(&project(d(), &[(91, "a", "$11 + 1")])),
        Err(Crossing::Output)
    );
    assert_eq!(spread(&w()), Err(Crossing::Whole));
}

#[test]
fn joins_are_on_the_distribution_columns_of_both_sides() {
    let on = |condition| join(d(), e(), vec![condition]);
    assert_eq!(spread(&on(equal("$11", "$21"))), Ok(vec![0, 3]));
    assert_eq!(spread(&on(equal("$12", "$21"))), Err(Crossing::Join));
    assert_eq!(spread(&on(condition("($11 = $21)"))), Err(Crossing::Join));
    let comma = filter(join(d(), e(), vec![]), vec![equal("$21", "$11")]);
    assert_eq!(spread(&comma), Ok(vec![0, 3]));
    let mut coarse = equal("$11", "$21");
    if let Some((left, _)) = &mut coarse.equality {
        left.ty = crate::tree::testing::numeric();
    }
    assert_eq!(spread(&on(coarse)), Err(Crossing::Join));
}

#[test]
fn equalities_lead_through_other_tables() {
    let through = join(
        join(d(), w(), vec![equal("$11", "$32")]),
        e(),
        vec![equal("$32", "$21")],
    );
    assert_eq!(spread(&through), Ok(vec![0, 4, 6]));
    let other_way = join(
        join(d(), w(), vec![equal("$12", "$31")]),
        e(),
        vec![equal("$31", "$21")],
    );
    assert_eq!(spread(&other_way), Err(Crossing::Join));
}

#[test]
fn outer_joins_keep_the_side_that_is_always_there() {
    let on = || vec![equal("$11", "$21")];
    assert_eq!(spread(&left_join(d(), e(), on())), Ok(vec![0]));
    assert_eq!(spread(&full_join(d(), e(), on())), Err(Crossing::Output));
    let whole = vec![equal("$11", "$31")];
    assert_eq!(spread(&left_join(d(), w(), whole.clone())), Ok(vec![0]));
    assert_eq!(
        spread(&left_join(w(), d(), whole.clone())),
        Err(Crossing::Absence)
    );
    assert_eq!(spread(&full_join(d(), w(), whole)), Err(Crossing::Absence));
    let none = vec![condition("($12 < $22)")];
    assert_eq!(spread(&left_join(d(), e(), none)), Err(Crossing::Join));
    // The NULLs of a side that is missing are in no group.
    let above = join(
        left_join(d(), e(), on()),
        scan(D, 40, "d"),
        vec![equal("$21", "$41")],
    );
    assert_eq!(spread(&above), Err(Crossing::Join));
}

#[test]
fn groups_and_partitions_contain_the_distribution_column() {
    assert_eq!(spread(&counted(d(), "$11")), Ok(vec![0]));
    assert_eq!(spread(&counted(d(), "$12")), Err(Crossing::Grouping));
    let all = group(d(), &[], vec![aggregate(91, AggregateKind::CountStar, "")]);
    assert_eq!(spread(&all), Err(Crossing::Grouping));
    assert_eq!(spread(&distinct(d())), Ok(vec![0]));
    let without = distinct(project(d(), &[(91, "b", "$12")]));
    assert_eq!(spread(&without), Err(Crossing::Grouping));
    let first = |partition: &[u32]| {
        let partition: Vec<_> = partition.iter().copied().map(ColumnId).collect();
        let order = vec![sort_key("$13", "ASC")];
        first_rows(d(), &partition, order, 0, Some(2), false)
    };
    assert_eq!(spread(&first(&[11, 12])), Ok(vec![0]));
    assert_eq!(spread(&first(&[12])), Err(Crossing::Partition));
    assert_eq!(spread(&first(&[])), Err(Crossing::Partition));
}

#[test]
fn arms_of_a_union_agree_on_the_column() {
    let of = |left: &'static str, right: &'static str| {
        let arms = vec![(d(), vec![left, "$12"]), (e(), vec![right, "$21"])];
        union_all(&[(91, "x"), (92, "y")], arms)
    };
    assert_eq!(spread(&of("$11", "$21")), Ok(vec![0]));
    assert_eq!(spread(&of("$12", "$21")), Err(Crossing::Output));
    let mixed = union_all(&[(91, "x")], vec![(d(), vec!["$11"]), (w(), vec!["$31"])]);
    assert_eq!(spread(&mixed), Err(Crossing::Union));
}

#[test]
fn a_subquery_is_tied_to_its_row() {
    let of_row = || filter(e(), vec![equal("$21", "$11")]);
    let other = || filter(e(), vec![equal("$22", "$11")]);
    assert_eq!(spread(&apply(d(), of_row(), exists())), Ok(vec![0]));
    assert_eq!(spread(&apply(d(), other(), exists())), Err(Crossing::Join));
    assert_eq!(spread(&apply(d(), w(), exists())), Ok(vec![0]));
    let reversed = filter(d(), vec![equal("$11", "$31")]);
    assert_eq!(
        spread(&apply(w(), reversed, exists())),
        Err(Crossing::Absence)
    );
    let count = |input| {
        let value = column(98, "value", crate::tree::testing::integer());
        let count = group(
            input,
            &[],
            vec![aggregate(98, AggregateKind::CountStar, "")],
        );
        apply(d(), count, ApplyKind::Scalar { value })
    };
    assert_eq!(spread(&count(of_row())), Ok(vec![0]));
    assert_eq!(spread(&count(other())), Err(Crossing::Grouping));
    let any = |test| {
        let result = column(98, "found", crate::tree::testing::boolean());
        let tests = vec![test];
        apply(d(), e(), ApplyKind::Any { tests, result })
    };
    assert_eq!(spread(&any(equal("$11", "$21"))), Ok(vec![0]));
    assert_eq!(spread(&any(equal("$12", "$22"))), Err(Crossing::Join));
    let lateral = apply(
        w(),
        filter(d(), vec![equal("$11", "$31")]),
        ApplyKind::Cross,
    );
    assert_eq!(spread(&lateral), Ok(vec![3]));
}

#[test]
fn what_is_computed_as_a_whole_crosses() {
    let part = Relation::Opaque(opaque("SELECT 1", &[(91, "x")], &[D]));
    assert_eq!(spread(&part), Err(Crossing::Opaque));
    let clock = opaque("SELECT now()", &[(91, "x")], &[]);
    assert_eq!(
        spread(&bounded(d(), "$12", ">", clock)),
        Err(Crossing::Opaque)
    );
    assert_eq!(spread(&scan(9, 90, "other")), Err(Crossing::Opaque));
}

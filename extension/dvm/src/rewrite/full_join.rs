//! A full outer join as a bag union, where its sides are computed for each value that they depend on:
//! ```text
//! L ⟗ R = (L ⟕ R) ⊎ π NULLs, R (σ no match (R ⟕ L))
//! ```
//! Elsewhere [`crate::plan`] keeps the join, so its sides do not occur twice.

use crate::tree::{Column, Expr, Predicate, Relation};

use super::ColumnAllocator;

/// The union.
pub(super) fn united(
    left: Relation,
    right: Relation,
    predicates: Vec<Predicate>,
    columns: &mut ColumnAllocator,
) -> Relation {
    let (left_columns, right_columns) = (left.columns(), right.columns());
    let present = columns.truth("present");
    let (first, first_names) = columns.relabel(left.clone().left_joined(
        right.clone(),
        predicates.clone(),
        None,
    ));
    let (second, second_names) =
        columns.relabel(right.left_joined(left, predicates, Some(present.clone())));
    let present = Expr::of(&present).relabelled(&second_names);
    let unmatched = Predicate::of(present.negated());
    let padded: Vec<Column> = left_columns
        .iter()
        .chain(&right_columns)
        .map(|column| Column {
            nullable: true,
            ..column.clone()
        })
        .collect();
    let first_exprs = padded
        .iter()
        .map(|c| Expr::of(c).relabelled(&first_names))
        .collect();
    let nulls = left_columns.iter().map(|column| Expr::null(&column.ty));
    let shown = right_columns
        .iter()
        .map(|c| Expr::of(c).relabelled(&second_names));
    let second = second.filtered(vec![unmatched]);
    Relation::UnionAll {
        columns: padded,
        inputs: vec![(first, first_exprs), (second, nulls.chain(shown).collect())],
    }
}

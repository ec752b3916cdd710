//! The values of aggregates over no rows.

use crate::canary;
use crate::tree::{Aggregate, AggregateKind, Column, ColumnId, Expr, Part, Relation};

/// The aggregates' columns with those of the empty set where there is no group, under the identities that
/// `shown` has.
pub(super) fn filled(shown: &[Column], empty: &[Expr], present: &Column) -> Vec<(Column, Expr)> {
    shown
        .iter()
        .zip(empty)
        .map(|(column, empty)| {
            let value = Expr::case(&Expr::of(present), &Expr::of(column), Some(empty));
            (column.clone(), value)
        })
        .collect()
}

/// What each aggregate of a grouping is for the empty set.
pub(super) fn of_nothing(grouped: &Relation) -> Vec<Expr> {
    let Relation::Aggregate {
        input, aggregates, ..
    } = grouped
    else {
        return Vec::new();
    };
    let columns = input.columns();
    aggregates
        .iter()
        .map(|call| match call.kind {
            _ if canary::active(canary::EMPTY_GROUP_FORGOTTEN) => Expr::null(&call.column.ty),
            AggregateKind::CountStar | AggregateKind::Count => Expr::constant(
                format!("0::{}", call.column.ty.sql),
                call.column.ty.clone(),
                false,
            ),
            AggregateKind::Recompute => called_with_nothing(call, &columns),
            _ => Expr::null(&call.column.ty),
        })
        .collect()
}

/// The call over no rows: `(SELECT f(NULL) WHERE false)`.
fn called_with_nothing(call: &Aggregate, columns: &[Column]) -> Expr {
    let null_of = |id: &ColumnId| {
        columns
            .iter()
            .find(|c| c.id == *id)
            .map_or_else(|| "NULL".to_owned(), |c| c.ty.null_sql())
    };
    let mut text = String::from("(SELECT ");
    for part in &call.call.parts {
        match part {
            Part::Sql(sql) => text.push_str(sql),
            Part::Column(id) => text.push_str(&null_of(id)),
        }
    }
    text.push_str(" WHERE false)");
    Expr::constant(text, call.column.ty.clone(), true)
}

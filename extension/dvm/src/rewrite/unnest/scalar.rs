//! The value of a subquery of at most one row.
//!
//! Unless there is provably at most one, the rows of each outer row are grouped and counted, and using the value
//! of several raises the server's error.

use crate::tree::{Aggregate, AggregateKind, ApplyKind, Column, Expr, Piece, Predicate, Relation};

use super::super::matches::{equated, is_unique};
use super::pull::grouped_by;
use super::push::push;
use super::semi::{bigint, count_star};
use super::whole::Whole;
use super::{Linked, Unnester, kept, projected};

impl Unnester<'_> {
    pub(super) fn scalar(
        &mut self,
        input: Relation,
        subquery: Relation,
        value: Column,
    ) -> Result<Relation, crate::Error> {
        if let Some(whole) = Whole::of(&subquery) {
            return self.whole(input, whole, ApplyKind::Scalar { value });
        }
        let mut shown = kept(&input.columns());
        // A projection may depend on the outer row as long as nothing groups its values.
        if let Relation::Project {
            input: below,
            columns,
        } = &subquery
            && let [(_, expr)] = columns.as_slice()
        {
            let linked = self.linked(&input, below.as_ref().clone())?;
            if is_unique(&linked.relation, &equated(&linked.relation, &linked.links)) {
                let present = self.truth("present");
                let expr = Expr::case(&Expr::of(&present), expr, None);
                let rows = input.left_joined(linked.relation, linked.links, Some(present));
                shown.push((value, expr));
                return Ok(projected(rows, shown));
            }
        }
        let Some(shows) = subquery.columns().into_iter().next() else {
            return Err(super::NO_COLUMN);
        };
        let linked = self.linked(&input, subquery.clone())?;
        if is_unique(&linked.relation, &equated(&linked.relation, &linked.links)) {
            shown.push((value, nullable(Expr::of(&shows))));
            let rows = input.left_joined(linked.relation, linked.links, None);
            return Ok(projected(rows, shown));
        }

        let count = self.columns.column("count", bigint(), false);
        let some = self
            .columns
            .column(shows.name.clone(), shows.ty.clone(), true);
        let aggregates = vec![
            count_star(count.clone()),
            any_value(some.clone(), &Expr::of(&shows)),
        ];
        let (grouped, links) = self.grouped(&input, subquery, linked, aggregates)?;
        let one = at_most_one(&count, &some);
        shown.push((value, one));
        let rows = match links.is_empty() {
            true => input.joined(grouped, links),
            false => input.left_joined(grouped, links, None),
        };
        Ok(projected(rows, shown))
    }

    /// The subquery's rows in one group for each outer row.
    fn grouped(
        &mut self,
        input: &Relation,
        subquery: Relation,
        linked: Linked,
        aggregates: Vec<Aggregate>,
    ) -> Result<(Relation, Vec<Predicate>), crate::Error> {
        let by_links = grouped_by(
            Vec::new(),
            linked.links.clone(),
            &linked.relation,
            self.columns,
        );
        let (relation, keys, links) = match by_links {
            Some((keys, links)) => (linked.relation, keys, links),
            None => {
                let pushed = push(input, subquery, self.columns)?;
                let (keys, links) =
                    grouped_by(Vec::new(), pushed.links, &pushed.relation, self.columns).ok_or(
                        crate::Error::CannotUnnest {
                            reason: "the rows of a scalar subquery cannot be grouped",
                        },
                    )?;
                (pushed.relation, keys, links)
            }
        };
        Ok((relation.grouped(keys, aggregates), links))
    }
}

fn nullable(expr: Expr) -> Expr {
    Expr {
        nullable: true,
        ..expr
    }
}

fn any_value(column: Column, argument: &Expr) -> Aggregate {
    Aggregate {
        call: Expr::composed(
            [
                Piece::Sql("pg_catalog.any_value("),
                Piece::Expr(argument),
                Piece::Sql(")"),
            ],
            column.ty.clone(),
            true,
        ),
        column,
        kind: AggregateKind::Recompute,
        argument: Some(argument.clone()),
        filter: None,
        distinct: false,
    }
}

/// The value, or the server's error where there are several.
fn at_most_one(count: &Column, some: &Column) -> Expr {
    let value = Expr::of(some);
    Expr::composed(
        [
            Piece::Sql("CASE WHEN "),
            Piece::Expr(&Expr::of(count)),
            Piece::Sql(" > 1 THEN (SELECT "),
            Piece::Expr(&value),
            Piece::Sql(" FROM pg_catalog.generate_series(1, 2)) ELSE "),
            Piece::Expr(&value),
            Piece::Sql(" END"),
        ],
        some.ty.clone(),
        true,
    )
}

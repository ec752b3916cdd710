//! A subquery that is one group without keys, perhaps filtered and projected: it has a row even if there is nothing
//! to group.
//!
//! ```text
//! γ(σ_x(l)=y(R)) = one row of L ⟕ γ_y(R) on x = y, with the aggregates of the empty set in place of NULLs
//! ```

use crate::tree::{Aggregate, ApplyKind, Column, Expr, Piece, Predicate, Relation};

use super::empty::{filled, of_nothing};
use super::pull::{grouped_by, pull};
use super::push::Push;
use super::{Outputs, Unnester, kept, projected, substituted};

/// The group, and what is made of its row.
pub(super) struct Whole {
    input: Relation,
    aggregates: Vec<Aggregate>,
    /// The subquery's columns, over those of the aggregates and of the outer query.
    outputs: Vec<(Column, Expr)>,
    /// When the row is kept, over the same.
    conditions: Vec<Expr>,
}

impl Whole {
    /// The subquery as one.
    pub fn of(subquery: &Relation) -> Option<Self> {
        match subquery {
            Relation::Aggregate {
                input,
                keys,
                aggregates,
            } if keys.is_empty() => Some(Whole {
                input: input.as_ref().clone(),
                aggregates: aggregates.clone(),
                outputs: kept(&subquery.columns()),
                conditions: Vec::new(),
            }),
            Relation::Filter { input, predicates } => {
                let mut whole = Self::of(input)?;
                let conditions = predicates
                    .iter()
                    .map(|p| substituted(&p.expr, &whole.outputs));
                whole.conditions.extend(conditions);
                Some(whole)
            }
            Relation::Project { input, columns } => {
                let whole = Self::of(input)?;
                let outputs = columns
                    .iter()
                    .map(|(column, expr)| (column.clone(), substituted(expr, &whole.outputs)))
                    .collect();
                Some(Whole { outputs, ..whole })
            }
            Relation::Distinct { input } => Self::of(input),
            Relation::TopN {
                input,
                offset: 0,
                limit,
                ..
            } if *limit != Some(0) => Self::of(input),
            _ => None,
        }
    }
}

impl Unnester<'_> {
    /// A dependent join with such a subquery.
    pub(super) fn whole(
        &mut self,
        input: Relation,
        whole: Whole,
        kind: ApplyKind,
    ) -> Result<Relation, crate::Error> {
        let mut shown = kept(&input.columns());
        let (relation, made) = self.beside(input, &whole)?;
        let over = |expr: &Expr| substituted(expr, &made);
        let conditions: Vec<Expr> = whole.conditions.iter().map(over).collect();
        let outputs: Vec<(Column, Expr)> = whole
            .outputs
            .iter()
            .map(|(column, expr)| (column.clone(), over(expr)))
            .collect();
        match kind {
            ApplyKind::Exists { present } => {
                let kept = Expr::all_true(&conditions).unwrap_or_else(|| Expr::known(true));
                shown.push((present, kept));
            }
            ApplyKind::Any { tests, result } => {
                let tests: Vec<Expr> = tests
                    .iter()
                    .map(|test| substituted(&test.expr, &outputs))
                    .collect();
                let mut pieces = vec![Piece::Sql("true")];
                for test in &tests {
                    pieces.extend([Piece::Sql(" AND "), Piece::Expr(test)]);
                }
                let test = Expr::truth(pieces, tests.iter().any(|test| test.nullable));
                let value = match Expr::all_true(&conditions) {
                    Some(kept) => Expr::case(&kept, &test, Some(&Expr::known(false))),
                    None => test,
                };
                shown.push((result, value));
            }
            ApplyKind::Scalar { value } => {
                let Some((_, expr)) = outputs.into_iter().next() else {
                    return Err(super::NO_COLUMN);
                };
                let expr = match Expr::all_true(&conditions) {
                    Some(kept) => Expr::case(&kept, &expr, None),
                    None => expr,
                };
                shown.push((value, expr));
            }
            ApplyKind::Cross => {
                shown.extend(outputs);
                let predicates = conditions.into_iter().map(Predicate::of).collect();
                return Ok(projected(relation.filtered(predicates), shown));
            }
            ApplyKind::Left { predicates } => {
                let mut conditions = conditions;
                conditions.extend(predicates.iter().map(|p| substituted(&p.expr, &outputs)));
                match Expr::all_true(&conditions) {
                    Some(kept) => shown.extend(
                        outputs
                            .iter()
                            .map(|(column, expr)| (column.clone(), Expr::case(&kept, expr, None))),
                    ),
                    None => shown.extend(outputs),
                }
            }
        }
        Ok(projected(relation, shown))
    }

    /// The input with the aggregates' values beside each row, and how each is computed.
    fn beside(
        &mut self,
        input: Relation,
        whole: &Whole,
    ) -> Result<(Relation, Outputs), crate::Error> {
        let alone = (whole.input.clone()).grouped(Vec::new(), whole.aggregates.clone());
        let outer = input.ids();
        let shown = alone.columns();
        if alone.free().is_disjoint(&outer) {
            return Ok((input.joined(alone, Vec::new()), kept(&shown)));
        }
        let pulled = pull(whole.input.clone(), self.columns)
            .filter(|linked| {
                let own = linked.relation.ids();
                let mut calls = whole.aggregates.iter().flat_map(Aggregate::exprs);
                calls.all(|expr| expr.columns().is_subset(&own))
            })
            .and_then(|linked| {
                let (keys, links) =
                    grouped_by(Vec::new(), linked.links, &linked.relation, self.columns)?;
                Some((
                    linked.relation.grouped(keys, whole.aggregates.clone()),
                    links,
                ))
            });
        let (grouped, links, empty) = match pulled {
            Some((grouped, links)) => {
                let empty = of_nothing(&grouped);
                (grouped, links, empty)
            }
            None => {
                let Some(mut push) = Push::new(&input, &alone, self.columns)? else {
                    return Ok((input.joined(alone, Vec::new()), kept(&shown)));
                };
                let (grouped, values, empty) =
                    push.grouped(whole.input.clone(), Vec::new(), whole.aggregates.clone());
                let links = push.links(&values);
                (grouped, links, empty)
            }
        };
        let present = self.truth("present");
        let made = filled(&shown, &empty, &present);
        Ok((input.left_joined(grouped, links, Some(present)), made))
    }
}

//! `x op ANY (E)`: true if the test is true for some row, else NULL if it is NULL for some row, else false.
//!
//! The marks of two semi joins decide: one for a true test, one for a test that is not false. A single equality is
//! NULL where a side is, so its second mark also needs only look-ups: a row with NULL on the inner side,
//! or any row if the outer side is NULL.

use std::collections::BTreeSet;

use crate::canary;
use crate::tree::{ApplyKind, Column, ColumnId, Expr, Piece, Predicate, Relation};

use super::whole::Whole;
use super::{Unnester, kept, projected, substituted};

impl Unnester<'_> {
    pub(super) fn any(
        &mut self,
        input: Relation,
        subquery: Relation,
        tests: Vec<Predicate>,
        result: Column,
        is_required: bool,
    ) -> Result<Relation, crate::Error> {
        if let Some(whole) = Whole::of(&subquery) {
            return self.whole(input, whole, ApplyKind::Any { tests, result });
        }
        let (subquery, tests) = bare(subquery, tests);
        if is_required || tests.iter().all(|test| !test.expr.nullable) {
            return self.exists(input, subquery.filtered(tests), result, is_required);
        }
        let mut shown = kept(&input.columns());
        let outer = input.ids();
        let is_true = self.truth("is_true");
        let marked = self.exists(
            input,
            subquery.clone().filtered(tests.clone()),
            is_true.clone(),
            false,
        )?;
        let (marked, is_null) = match equality(&tests, &outer) {
            Some((left, right)) => self.of_equality(marked, &subquery, left, right)?,
            None => {
                let not_false = tests.iter().map(not_false).collect();
                let (subquery, tests) = self.copy(&subquery, not_false);
                let mark = self.truth("not_false");
                let marked = self.exists(marked, subquery.filtered(tests), mark.clone(), false)?;
                (marked, Expr::of(&mark))
            }
        };
        let null = match canary::active(canary::UNKNOWN_IS_FALSE) {
            false => Expr::null(&result.ty),
            true => Expr::known(false),
        };
        let value = Expr::truth(
            [
                Piece::Sql("CASE WHEN "),
                Piece::Expr(&Expr::of(&is_true)),
                Piece::Sql(" THEN "),
                Piece::Expr(&Expr::known(true)),
                Piece::Sql(" WHEN "),
                Piece::Expr(&is_null),
                Piece::Sql(" THEN "),
                Piece::Expr(&null),
                Piece::Sql(" ELSE "),
                Piece::Expr(&Expr::known(false)),
                Piece::Sql(" END"),
            ],
            true,
        );
        shown.push((result, value));
        Ok(projected(marked, shown))
    }

    /// Where `left = right` is NULL for a row of the subquery and true for none.
    fn of_equality(
        &mut self,
        input: Relation,
        subquery: &Relation,
        left: &Expr,
        right: &Expr,
    ) -> Result<(Relation, Expr), crate::Error> {
        let mut marked = input;
        let mut is_null = Expr::known(false);
        if right.nullable {
            let (subquery, null) = self.copy(subquery, vec![null(right)]);
            let mark = self.truth("some_null");
            marked = self.exists(marked, subquery.filtered(null), mark.clone(), false)?;
            is_null = Expr::of(&mark);
        }
        if left.nullable {
            let (subquery, _) = self.copy(subquery, Vec::new());
            let mark = self.truth("some");
            marked = self.exists(marked, subquery, mark.clone(), false)?;
            is_null = Expr::truth(
                [
                    Piece::Expr(&is_null),
                    Piece::Sql(" OR "),
                    Piece::Expr(&Expr::of(&mark)),
                    Piece::Sql(" AND "),
                    Piece::Expr(&null(left).expr),
                ],
                false,
            );
        }
        Ok((marked, is_null))
    }

    /// The subquery and conjuncts over it, under identities of their own.
    fn copy(
        &mut self,
        subquery: &Relation,
        predicates: Vec<Predicate>,
    ) -> (Relation, Vec<Predicate>) {
        let (relation, names) = self.columns.relabel(subquery.clone());
        let predicates = predicates
            .into_iter()
            .map(|p| p.relabelled(&names))
            .collect();
        (relation, predicates)
    }
}

/// The subquery without its projection, and the tests over what is below: how often a row comes is not seen.
fn bare(subquery: Relation, tests: Vec<Predicate>) -> (Relation, Vec<Predicate>) {
    match subquery {
        Relation::Distinct { input } => bare(*input, tests),
        Relation::Project { input, columns } => {
            let tests = tests
                .iter()
                .map(|test| test.map(|expr| substituted(expr, &columns)))
                .collect();
            bare(*input, tests)
        }
        other => (other, tests),
    }
}

/// The sides of the only test, if it is an equality of what the outer row has with what the subquery has.
fn equality<'t>(
    tests: &'t [Predicate],
    outer: &BTreeSet<ColumnId>,
) -> Option<(&'t Expr, &'t Expr)> {
    let [test] = tests else {
        return None;
    };
    let (left, right) = test.equality.as_ref()?;
    [(left, right), (right, left)]
        .into_iter()
        .find(|(left, right)| left.columns().is_subset(outer) && right.columns().is_disjoint(outer))
}

fn null(expr: &Expr) -> Predicate {
    Predicate::of(expr.is(" IS NULL"))
}

fn not_false(test: &Predicate) -> Predicate {
    match test.expr.nullable {
        true => Predicate::of(test.expr.is(" IS NOT FALSE")),
        false => test.clone(),
    }
}

//! A left outer join as a factor of its left side's branches.
//!
//! A right side of one relation becomes a factor as it is. One of several (a join, a bag union) cannot, nor one
//! whose matches are a set of values of the left side, since a value that leaves it is no longer told apart from
//! one that loses its match. The outer join is then the inner join, and beside it the left rows without a match,
//! padded with NULLs:
//! ```text
//! L ⟕ R = (L ⋈ R) ⊎ π L, NULLs (σ no match (L ⟕ M))
//! ```
//! where M has one row per match (see [`crate::rewrite::matches`]).

use crate::rewrite::{Matches, matches};
use crate::tree::{Column, ColumnType, Expr, Part, Piece, Predicate, Relation};

use super::block::{BlockScan, Branch, Factor, Matched, Outer};
use super::compile::{Compiler, check_branches, inputs_of, product, substitute_predicate};

impl Compiler {
    /// The branches of an outer join.
    pub(super) fn left_join(
        &mut self,
        left: Relation,
        right: Relation,
        predicates: Vec<Predicate>,
        present: Option<Column>,
    ) -> Result<Vec<Branch>, crate::Error> {
        let set = matches(&left, &right, &predicates, &mut self.columns)?;
        let left_columns = left.columns();
        let right_columns = right.columns();
        let mut both = left_columns.clone();
        both.extend(right_columns.iter().cloned());
        let mut is_true_set = true;
        let set = match set {
            Matches::Itself => None,
            Matches::Set {
                relation,
                on,
                of_left,
            } => {
                let columns = relation.columns();
                is_true_set = !of_left;
                Some((self.set_of_matches(relation)?, columns, on))
            }
        };
        let left = self.linearise(left)?;
        let right = self.linearise(right)?;
        let shown = |branch: &mut Branch, expr: Expr| {
            if present.is_some() {
                branch.outputs.push(expr);
            }
        };
        let constant = |value: &str| Expr::constant(value, ColumnType::boolean(), false);

        if is_true_set
            && let [only] = right.as_slice()
            && let [Factor { scan, outer: None }] = only.scans.as_slice()
        {
            let mut branches = Vec::with_capacity(left.len());
            for l in &left {
                // The marker stands for a factor: each branch needs one of its own.
                let marker = self.columns.truth("present");
                let padded: Vec<Expr> = only
                    .outputs
                    .iter()
                    .map(|expr| when(&Expr::of(&marker), expr))
                    .collect();
                let mut unpadded = l.outputs.clone();
                unpadded.extend(only.outputs.iter().cloned());
                let inner = inputs_of(&both, &unpadded);
                let mut on = only.predicates.clone();
                on.extend(predicates.iter().map(|p| substitute_predicate(p, &inner)));
                let matched = match &set {
                    None => Matched::Itself,
                    Some((node, columns, on)) => Matched::Set {
                        node: *node,
                        columns: columns.clone(),
                        on: on.iter().map(|p| substitute_predicate(p, &inner)).collect(),
                    },
                };
                let mut branch = l.clone();
                branch.scans.push(Factor {
                    scan: scan.clone(),
                    outer: Some(Outer {
                        on,
                        present: marker.id,
                        matched,
                    }),
                });
                branch.outputs.extend(padded);
                shown(&mut branch, Expr::of(&marker));
                branches.push(branch);
            }
            return Ok(branches);
        }

        let Some((scan, columns, set_on)) = set else {
            return Err(crate::Error::CannotUnnest {
                reason: "the null-supplying side of an outer join has no set of matches",
            });
        };
        check_branches(left.len() * (right.len() + 1))?;
        let mut branches = Vec::with_capacity(left.len() * (right.len() + 1));
        for l in &left {
            for r in &right {
                let mut branch = product(l, r, &both, &predicates);
                shown(&mut branch, constant("true"));
                branches.push(branch);
            }
            let marker = self.columns.truth("present");
            let inner = inputs_of(&left_columns, &l.outputs);
            let on = set_on
                .iter()
                .map(|p| substitute_predicate(p, &inner))
                .collect();
            let mut branch = l.clone();
            branch.predicates.push(Predicate {
                expr: Expr::truth([Piece::Sql("NOT "), Piece::Expr(&Expr::of(&marker))], false),
                equality: None,
            });
            branch.scans.push(Factor {
                scan: BlockScan::Node {
                    node: scan,
                    columns: columns.clone(),
                },
                outer: Some(Outer {
                    on,
                    present: marker.id,
                    matched: Matched::Itself,
                }),
            });
            branch
                .outputs
                .extend(right_columns.iter().map(|c| Expr::null(&c.ty)));
            shown(&mut branch, constant("false"));
            branches.push(branch);
        }
        Ok(branches)
    }

    /// The node of a set of matches, which is a DISTINCT.
    fn set_of_matches(&mut self, relation: Relation) -> Result<usize, crate::Error> {
        match self.linearise(relation)?.as_slice() {
            [
                Branch {
                    scans, predicates, ..
                },
            ] if predicates.is_empty() => match scans.as_slice() {
                [
                    Factor {
                        scan: BlockScan::Node { node, .. },
                        outer: None,
                    },
                ] => Ok(*node),
                _ => Err(NOT_A_NODE),
            },
            _ => Err(NOT_A_NODE),
        }
    }
}

const NOT_A_NODE: crate::Error = crate::Error::CannotUnnest {
    reason: "the set of matches is not the output of one operator",
};

/// The value where there is a match, NULL otherwise. A column of the relation is NULL by itself.
fn when(present: &Expr, expr: &Expr) -> Expr {
    if expr.as_column().is_some() {
        return Expr {
            nullable: true,
            ..expr.clone()
        };
    }
    let mut parts = vec![Part::Sql("CASE WHEN ".into())];
    parts.extend(present.parts.iter().cloned());
    parts.push(Part::Sql(" THEN ".into()));
    parts.extend(expr.parts.iter().cloned());
    parts.push(Part::Sql(" END".into()));
    Expr {
        parts,
        ty: expr.ty.clone(),
        nullable: true,
    }
}

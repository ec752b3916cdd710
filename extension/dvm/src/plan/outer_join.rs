//! A left outer join as a factor of its left side's branches.
//!
//! A right side of one relation becomes a factor. One of several (a join, a bag union) cannot, nor one
//! whose matches are a set of values of the left side, since a value that leaves it looks like
//! one that loses its match. The outer join is then the inner join plus the left rows without a match,
//! padded with NULLs:
//! ```text
//! L ⟕ R = (L ⋈ R) ⊎ π L, NULLs (σ no match (L ⟕ M))
//! ```
//! where M has one row per match (see [`crate::rewrite::matches`]). Where such sides would multiply the branches,
//! the rows of a side are stored, which makes it one relation (see [`super::rows`]).
//!
//! A full outer join is the left outer join plus the right rows without a match:
//! ```text
//! L ⟗ R = (L ⟕ R) ⊎ π NULLs, R (σ no match (R ⟕ M))
//! ```
//! Both read L, as do the sets of matches, so a side of several branches is stored: a chain of full
//! joins has one such node each, of three branches at most.

use crate::rewrite::{Matches, matches};
use crate::tree::{Column, Expr, Part, Predicate, Relation};

use super::block::{BlockScan, Branch, Factor, Matched, Outer};
use super::branches::Inputs;
use super::compile::Compiler;
use super::rows::BRANCHES_MAX;

/// The set of matches of an outer join, stored as a node.
struct MatchSet {
    node: usize,
    columns: Vec<Column>,
    /// What connects it to the left rows.
    on: Vec<Predicate>,
}

/// What the branches of an outer join have in common.
struct OuterJoin {
    left_columns: Vec<Column>,
    right_columns: Vec<Column>,
    predicates: Vec<Predicate>,
    /// Whether a last column says of a row that it has a match.
    is_marked: bool,
}

impl OuterJoin {
    fn columns(&self) -> Vec<Column> {
        let columns = self.left_columns.iter().chain(&self.right_columns);
        columns.cloned().collect()
    }

    fn mark(&self, branch: &mut Branch, is_matched: Expr) {
        if self.is_marked {
            branch.outputs.push(is_matched);
        }
    }
}

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
        let (left_columns, right_columns) = (left.columns(), right.columns());
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
                let node = self.set_of_matches(relation)?;
                Some(MatchSet { node, columns, on })
            }
        };
        let (left, right) = self.outer_sides(&left, &right, is_true_set)?;
        let join = OuterJoin {
            left_columns,
            right_columns,
            predicates,
            is_marked: present.is_some(),
        };
        if is_true_set && let Some((only, scan)) = single_factor(&right) {
            let factor = |l| self.as_factor(&join, l, only, scan, set.as_ref());
            return Ok(left.iter().map(factor).collect());
        }
        match set {
            Some(set) => Ok(self.as_union(&join, &left, &right, &set)),
            None => Err(crate::Error::CannotUnnest {
                reason: "the null-supplying side of an outer join has no set of matches",
            }),
        }
    }

    /// The outer join of a branch with a right side of one relation, as a factor.
    fn as_factor(
        &mut self,
        join: &OuterJoin,
        left: &Branch,
        right: &Branch,
        scan: &BlockScan,
        set: Option<&MatchSet>,
    ) -> Branch {
        // The marker stands for a factor: each branch needs one of its own.
        let marker = self.columns.truth("present");
        let padded = (right.outputs.iter()).map(|expr| when(&Expr::of(&marker), expr));
        let unpadded: Vec<Expr> = left.outputs.iter().chain(&right.outputs).cloned().collect();
        let both = join.columns();
        let inputs = Inputs::new(&both, &unpadded);
        let mut on = right.predicates.clone();
        on.extend(inputs.predicates(&join.predicates));
        let matched = match set {
            None => Matched::Itself,
            Some(set) => Matched::Set {
                node: set.node,
                columns: set.columns.clone(),
                on: inputs.predicates(&set.on),
            },
        };
        let mut branch = left.clone();
        branch.scans.push(Factor {
            scan: scan.clone(),
            outer: Some(Outer {
                on,
                present: marker.id,
                matched,
            }),
        });
        branch.outputs.extend(padded);
        join.mark(&mut branch, Expr::of(&marker));
        branch
    }

    /// The outer join as the inner join, and the left rows without a match.
    fn as_union(
        &mut self,
        join: &OuterJoin,
        left: &[Branch],
        right: &[Branch],
        set: &MatchSet,
    ) -> Vec<Branch> {
        let both = join.columns();
        let mut branches = Vec::with_capacity(left.len() * (right.len() + 1));
        for l in left {
            for r in right {
                let mut branch = l.product(r, &both, &join.predicates);
                join.mark(&mut branch, Expr::known(true));
                branches.push(branch);
            }
            let on = Inputs::new(&join.left_columns, &l.outputs).predicates(&set.on);
            let scan = BlockScan::Node {
                node: set.node,
                columns: set.columns.clone(),
            };
            let mut branch = self.unmatched(l, scan, on);
            let nulls = join.right_columns.iter().map(|c| Expr::null(&c.ty));
            branch.outputs.extend(nulls);
            join.mark(&mut branch, Expr::known(false));
            branches.push(branch);
        }
        branches
    }

    /// The branches of both sides, whose rows are kept where there would be too many of the join.
    fn outer_sides(
        &mut self,
        left: &Relation,
        right: &Relation,
        may_be_factor: bool,
    ) -> Result<(Vec<Branch>, Vec<Branch>), crate::Error> {
        let count = |left: &[Branch], right: &[Branch]| match single_factor(right) {
            Some(_) if may_be_factor => left.len(),
            _ => left.len() * (right.len() + 1),
        };
        let mut left_branches = self.linearise(left.clone())?;
        let mut right_branches = self.linearise(right.clone())?;
        if count(&left_branches, &right_branches) > BRANCHES_MAX
            && single_factor(&right_branches).is_none()
        {
            right_branches = self.kept(right)?;
        }
        if count(&left_branches, &right_branches) > BRANCHES_MAX && left_branches.len() > 1 {
            left_branches = self.kept(left)?;
        }
        Ok((left_branches, right_branches))
    }

    /// The branches of a full outer join.
    pub(super) fn full_join(
        &mut self,
        left: Relation,
        right: Relation,
        predicates: Vec<Predicate>,
    ) -> Result<Vec<Branch>, crate::Error> {
        for side in [&left, &right] {
            if self.linearise(side.clone())?.len() > 1 {
                self.kept(side)?;
            }
        }
        let nulls: Vec<Expr> = left.columns().iter().map(|c| Expr::null(&c.ty)).collect();
        let mut branches = self.left_join(left.clone(), right.clone(), predicates.clone(), None)?;
        for mut branch in self.without_match(right, left, predicates)? {
            branch.outputs.splice(0..0, nulls.iter().cloned());
            branches.push(branch);
        }
        Ok(branches)
    }

    /// The rows of `left` that have no match in `right`, which is one branch.
    fn without_match(
        &mut self,
        left: Relation,
        right: Relation,
        predicates: Vec<Predicate>,
    ) -> Result<Vec<Branch>, crate::Error> {
        let joined = left.left_joined(right, predicates, None);
        let (joined, _) = self.columns.relabel(joined);
        let Relation::LeftJoin {
            left,
            right,
            predicates,
            ..
        } = joined
        else {
            return Err(NOT_A_NODE);
        };
        let set = matches(&left, &right, &predicates, &mut self.columns)?;
        let mut known = left.columns();
        let (scan, outputs, own, links) = match set {
            Matches::Itself => {
                let branches = self.linearise((*right).clone())?;
                let (only, scan) = single_factor(&branches).ok_or(NOT_A_NODE)?;
                known.extend(right.columns());
                let outputs = only.outputs.clone();
                (scan.clone(), outputs, only.predicates.clone(), predicates)
            }
            Matches::Set { relation, on, .. } => {
                let columns = relation.columns();
                let node = self.set_of_matches(relation)?;
                (
                    BlockScan::Node { node, columns },
                    Vec::new(),
                    Vec::new(),
                    on,
                )
            }
        };
        let mut branches = Vec::new();
        for l in self.linearise(*left)? {
            let both: Vec<Expr> = l.outputs.iter().chain(&outputs).cloned().collect();
            let mut on = own.clone();
            on.extend(Inputs::new(&known, &both).predicates(&links));
            branches.push(self.unmatched(&l, scan.clone(), on));
        }
        Ok(branches)
    }

    /// The rows of a branch that `scan`, which has at most one for each, has none for.
    fn unmatched(&mut self, left: &Branch, scan: BlockScan, on: Vec<Predicate>) -> Branch {
        let marker = self.columns.truth("present");
        let mut branch = left.clone();
        let is_unmatched = Predicate::of(Expr::of(&marker).negated());
        branch.predicates.push(is_unmatched);
        branch.scans.push(Factor {
            scan,
            outer: Some(Outer {
                on,
                present: marker.id,
                matched: Matched::Itself,
            }),
        });
        branch
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

/// The only branch, if it reads one relation, and that one.
fn single_factor(branches: &[Branch]) -> Option<(&Branch, &BlockScan)> {
    match branches {
        [only] => match only.scans.as_slice() {
            // What a comparison says is no relation that rows could be missing from.
            [
                Factor {
                    scan: BlockScan::Bound { .. } | BlockScan::Condition { .. },
                    ..
                },
            ] => None,
            [Factor { scan, outer: None }] => Some((only, scan)),
            _ => None,
        },
        _ => None,
    }
}

const NOT_A_NODE: crate::Error = crate::Error::CannotUnnest {
    reason: "the set of matches is not the output of one operator",
};

/// The value where there is a match, NULL otherwise. A column of the relation is NULL by itself.
fn when(present: &Expr, expr: &Expr) -> Expr {
    let mut parts = expr.parts.clone();
    if expr.as_column().is_none() {
        parts.insert(0, Part::Sql(" THEN ".into()));
        parts.splice(0..0, present.parts.iter().cloned());
        parts.insert(0, Part::Sql("CASE WHEN ".into()));
        parts.push(Part::Sql(" END".into()));
    }
    Expr {
        parts,
        ty: expr.ty.clone(),
        nullable: true,
    }
}

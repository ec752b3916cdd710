//! Which linear blocks become separate nodes, because joins would multiply their branches.

use crate::tree::{Column, ColumnType, Expr, Relation};

use super::block::{Block, Branch};
use super::compile::Compiler;
use super::{Identity, Maintenance, keys};

/// A join of more branches than this keeps a side's rows instead.
pub(super) const BRANCHES_MAX: usize = 4;

impl Compiler {
    /// The branches of both sides of a join of so many branches as `count` says for theirs. The right side's rows
    /// are kept, and then the left side's, where that makes them fewer.
    pub(super) fn sides(
        &mut self,
        left: &Relation,
        right: &Relation,
        count: impl Fn(usize, usize) -> usize,
    ) -> Result<(Vec<Branch>, Vec<Branch>), crate::Error> {
        let mut left_branches = self.linearise(left.clone())?;
        let mut right_branches = self.linearise(right.clone())?;
        if self.in_recursion {
            return Ok((left_branches, right_branches));
        }
        if count(left_branches.len(), right_branches.len()) > BRANCHES_MAX
            && right_branches.len() > 1
        {
            right_branches = self.kept(right)?;
        }
        if count(left_branches.len(), right_branches.len()) > BRANCHES_MAX
            && left_branches.len() > 1
        {
            left_branches = self.kept(left)?;
        }
        Ok((left_branches, right_branches))
    }

    /// The relation as one branch over rows that are kept, below what filters and projects them.
    pub(super) fn kept(&mut self, relation: &Relation) -> Result<Vec<Branch>, crate::Error> {
        let mut base = relation;
        while let Relation::Filter { input, .. }
        | Relation::Project { input, .. }
        | Relation::Bounded { input, .. }
        | Relation::Conditioned { input, .. }
        | Relation::Expand { input, .. } = base
        {
            base = input;
        }
        let shape = base.shape();
        if !self.known.contains_key(&shape) {
            let node = self.keep(base.clone())?;
            self.known.insert(shape, node);
            self.keeps_rows = true;
        }
        self.linearise(relation.clone())
    }

    /// Adds a node with the rows of the relation, and returns its number.
    fn keep(&mut self, relation: Relation) -> Result<usize, crate::Error> {
        let mut columns: Vec<Column> = relation.columns();
        let mut branches = self.linearise(relation)?;
        if columns.is_empty() {
            columns.push(self.columns.column("one", ColumnType::integer(), false));
            let one = Expr::constant("1", ColumnType::integer(), false);
            for branch in &mut branches {
                branch.outputs.push(one.clone());
            }
        }
        let row_key = match branches.as_slice() {
            [branch] => match keys::of_branch(branch, &self.nodes) {
                Identity::Key { columns, .. } => Some(columns),
                Identity::Image => None,
            },
            _ => None,
        };
        let block = Block {
            columns: columns.clone(),
            branches,
        };
        Ok(self
            .add(block, columns, Vec::new(), Maintenance::Rows, row_key)
            .id)
    }
}

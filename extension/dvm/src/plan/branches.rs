//! Branches, and how expressions over the columns of an operator's input move into them.

use std::collections::HashMap;

use crate::tree::{Column, ColumnId, Condition, Expr, Predicate, Side};

use super::block::{BlockScan, Branch, Factor};

/// What each column of an input stands for in a branch.
pub(super) struct Inputs<'a>(HashMap<ColumnId, &'a Expr>);

impl<'a> Inputs<'a> {
    /// These columns are computed like this.
    pub fn new(columns: &[Column], outputs: &'a [Expr]) -> Self {
        Inputs(columns.iter().map(|c| c.id).zip(outputs).collect())
    }

    /// The expression in the branch.
    pub fn expr(&self, expr: &Expr) -> Expr {
        expr.substitute(|id| self.0.get(&id).copied())
    }

    /// The conjuncts in the branch.
    pub fn predicates(&self, predicates: &[Predicate]) -> Vec<Predicate> {
        let moved = |predicate: &Predicate| predicate.map(|expr| self.expr(expr));
        predicates.iter().map(moved).collect()
    }
}

impl Branch {
    /// One row without columns.
    pub(super) fn single_row() -> Self {
        Branch {
            scans: Vec::new(),
            predicates: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// The rows of a relation, of which these columns are shown.
    pub(super) fn of<'c>(scan: BlockScan, shown: impl IntoIterator<Item = &'c Column>) -> Self {
        Branch {
            scans: vec![Factor::inner(scan)],
            predicates: Vec::new(),
            outputs: shown.into_iter().map(Expr::of).collect(),
        }
    }

    /// A node's output under these column identities, shown in another order.
    pub(super) fn of_node(node: usize, columns: Vec<Column>, shown: &[Column]) -> Self {
        Branch::of(BlockScan::Node { node, columns }, shown)
    }

    /// Keeps the rows that satisfy the conjuncts over `columns`, which are the branch's.
    pub(super) fn filter(&mut self, columns: &[Column], predicates: &[Predicate]) {
        let added = Inputs::new(columns, &self.outputs).predicates(predicates);
        self.predicates.extend(added);
    }

    /// Shows expressions over `columns`, which are the branch's, instead of these.
    pub(super) fn project<'e>(
        &mut self,
        columns: &[Column],
        exprs: impl IntoIterator<Item = &'e Expr>,
    ) {
        let inputs = Inputs::new(columns, &self.outputs);
        self.outputs = exprs.into_iter().map(|expr| inputs.expr(expr)).collect();
    }

    /// Keeps the rows whose `value`, over `columns`, lies on one side of a bound.
    pub(super) fn bound(
        &mut self,
        image: usize,
        columns: &[Column],
        value: &Expr,
        operator: &str,
        side: Side,
    ) {
        let value = Inputs::new(columns, &self.outputs).expr(value);
        self.scans.push(Factor::inner(BlockScan::Bound {
            image,
            value,
            operator: operator.to_owned(),
            side,
        }));
    }

    /// Adds the column of a condition on a moving bound, over `columns`.
    pub(super) fn condition(&mut self, image: usize, columns: &[Column], condition: &Condition) {
        let Condition {
            column,
            expr,
            found_by,
            bound,
        } = condition;
        let inputs = Inputs::new(columns, &self.outputs);
        let found_by = found_by.as_ref();
        let scan = BlockScan::Condition {
            image,
            bound: bound.columns.first().map_or(column.id, |c| c.id),
            column: column.clone(),
            condition: inputs.expr(expr),
            found_by: found_by.map(|(value, crossing)| (inputs.expr(value), *crossing)),
        };
        self.outputs.push(Expr::of(column));
        self.scans.push(Factor::inner(scan));
    }

    /// Adds the columns `added` of an item that is computed from `columns`.
    pub(super) fn expand(
        &mut self,
        columns: &[Column],
        item: &Expr,
        added: &[Column],
        key: Option<&[usize]>,
    ) {
        let item = Inputs::new(columns, &self.outputs).expr(item);
        self.outputs.extend(added.iter().map(Expr::of));
        self.scans.push(Factor::inner(BlockScan::Expand {
            item,
            columns: added.to_vec(),
            key: key.map(<[usize]>::to_vec),
        }));
    }

    /// The inner join with another branch; `columns` are those of both.
    pub(super) fn product(
        &self,
        right: &Branch,
        columns: &[Column],
        predicates: &[Predicate],
    ) -> Self {
        let mut branch = self.clone();
        branch.scans.extend(right.scans.iter().cloned());
        branch.predicates.extend(right.predicates.iter().cloned());
        branch.outputs.extend(right.outputs.iter().cloned());
        branch.filter(columns, predicates);
        branch
    }
}

/// The columns, those that make the partitions first.
pub(super) fn first(partition: &[ColumnId], columns: Vec<Column>) -> Vec<Column> {
    let (mut keys, rest): (Vec<Column>, Vec<Column>) =
        columns.into_iter().partition(|c| partition.contains(&c.id));
    keys.extend(rest);
    keys
}

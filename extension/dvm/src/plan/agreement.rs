//! Functional dependencies of a block: in which columns rows agree that agree in others.
//!
//! Rows that agree in a key of a relation are the same row of it, and equalities carry agreement from column to
//! column. There are two notions of agreement: equal by the type's default equality, which keys and orders use, and
//! alike by image, which a reader sees (`1.0` and `1.00` are equal but not alike).

use std::collections::BTreeSet;

use crate::tree::{ColumnId, Expr};

use super::block::{BlockScan, Branch, Matched};
use super::{Node, keys};

/// Columns of a branch's relations in which rows agree.
pub(super) struct Agreement {
    equal: BTreeSet<ColumnId>,
    alike: BTreeSet<ColumnId>,
}

impl Agreement {
    /// What follows from agreement in the outputs at the positions that are given: by equality, and by image.
    pub fn of(
        branch: &Branch,
        nodes: &[Node],
        equal: impl Fn(usize) -> bool,
        alike: impl Fn(usize) -> bool,
    ) -> Self {
        let mut agreement = Agreement {
            equal: BTreeSet::new(),
            alike: BTreeSet::new(),
        };
        for (position, output) in branch.outputs.iter().enumerate() {
            if equal(position) {
                agreement.add(output);
            }
            if alike(position)
                && let Some(id) = output.as_column()
            {
                agreement.equal.insert(id);
                agreement.alike.insert(id);
            }
        }
        let mut size = usize::MAX;
        while size != agreement.equal.len() + agreement.alike.len() {
            size = agreement.equal.len() + agreement.alike.len();
            agreement.close(branch, nodes);
        }
        agreement
    }

    /// Rows agree in this value: nothing follows unless it is a column.
    fn add(&mut self, value: &Expr) {
        if let Some(id) = value.as_column() {
            self.equal.insert(id);
            if value.ty.image_equality {
                self.alike.insert(id);
            }
        }
    }

    fn agrees(&self, value: &Expr) -> bool {
        value.columns().is_subset(&self.alike)
            || value.as_column().is_some_and(|id| self.equal.contains(&id))
    }

    /// One round over the relations and the equalities.
    fn close(&mut self, branch: &Branch, nodes: &[Node]) {
        for factor in &branch.scans {
            let own: BTreeSet<ColumnId> = factor.column_ids().into_iter().collect();
            let computed = factor.scan.reads().is_subset(&self.alike);
            let known = |set: &Vec<ColumnId>| set.iter().all(|id| self.equal.contains(id));
            let same_row = match &factor.outer {
                None => computed && keys::unique_sets(&factor.scan, nodes).iter().any(known),
                // A row of NULLs is told apart from a match by a key that is never NULL.
                Some(_) if matches!(factor.scan, BlockScan::Table(_)) => {
                    keys::unique_sets(&factor.scan, nodes).iter().any(known)
                }
                Some(_) => false,
            };
            // The only match of rows that agree in all that decides on it.
            let same_match = factor.outer.as_ref().is_some_and(|outer| {
                matches!(outer.matched, Matched::Itself)
                    && outer.on.iter().all(|p| {
                        let reads = p.expr.columns();
                        reads.difference(&own).all(|id| self.alike.contains(id))
                    })
            });
            let same_group = factor.outer.is_none() && self.is_same_group(&factor.scan, nodes);
            if same_row || same_group || same_match {
                self.equal.extend(&own);
                self.alike.extend(&own);
            }
        }
        for (left, right) in branch.predicates.iter().filter_map(|p| p.equality.as_ref()) {
            for (from, to) in [(left, right), (right, left)] {
                if self.agrees(from) {
                    self.add(to);
                }
            }
        }
    }

    /// Whether the scan is of groups, and rows agree in keys on which the other keys depend.
    fn is_same_group(&self, scan: &BlockScan, nodes: &[Node]) -> bool {
        let BlockScan::Node { node, columns } = scan else {
            return false;
        };
        let Some(node) = nodes.get(*node).filter(|node| node.partition().is_none()) else {
            return false;
        };
        let [branch] = node.block.branches.as_slice() else {
            return false;
        };
        let is_equal = |position: usize| {
            position < node.keys.len()
                && columns
                    .get(position)
                    .is_some_and(|c| self.equal.contains(&c.id))
        };
        let depend = Agreement::of(branch, nodes, is_equal, |_| false).outputs(branch);
        (0..node.keys.len()).all(|position| is_equal(position) || depend.contains(&position))
    }

    /// Positions of the outputs that follow.
    pub fn outputs(&self, branch: &Branch) -> BTreeSet<usize> {
        branch
            .outputs
            .iter()
            .enumerate()
            .filter(|(_, output)| output.columns().is_subset(&self.alike))
            .map(|(position, _)| position)
            .collect()
    }
}

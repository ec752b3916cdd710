//! What the blocks of a plan read of its nodes.

use std::collections::BTreeSet;

use crate::tree::{Column, ColumnId, Expr};

use super::block::{BlockScan, Branch, Matched};
use super::pipeline::{Node, Plan};

impl Plan {
    /// The positions of the node's columns that some block reads. For the rest it does not matter what their values
    /// are, only how many rows there are.
    pub fn columns_read(&self, node: &Node) -> Vec<usize> {
        let mut read = BTreeSet::new();
        for branch in self.blocks().flat_map(|block| &block.branches) {
            let of_branch = columns_of(branch);
            let mut note = |id: usize, columns: &[Column]| {
                if id == node.id {
                    let positions = columns.iter().enumerate();
                    let positions = positions.filter(|(_, column)| of_branch.contains(&column.id));
                    read.extend(positions.map(|(position, _)| position));
                }
            };
            for factor in &branch.scans {
                if let BlockScan::Node { node, columns } = &factor.scan {
                    note(*node, columns);
                }
                if let Some(outer) = &factor.outer
                    && let Matched::Set { node, columns, .. } = &outer.matched
                {
                    note(*node, columns);
                }
            }
        }
        read.into_iter().collect()
    }
}

/// The columns that the expressions of a branch read.
fn columns_of(branch: &Branch) -> BTreeSet<ColumnId> {
    let outer = branch.scans.iter().filter_map(|f| f.outer.as_ref());
    let conditions = branch.predicates.iter();
    let conditions = conditions.chain(outer.flat_map(|outer| outer.conditions()));
    let mut read: BTreeSet<ColumnId> = conditions.flat_map(|p| p.expr.columns()).collect();
    read.extend(branch.outputs.iter().flat_map(Expr::columns));
    read.extend(branch.scans.iter().flat_map(|f| f.scan.reads()));
    read
}

#[cfg(test)]
mod tests {
    use crate::plan::compile;
    use crate::tree::testing::{
        aggregate, condition, filter, first_rows, group, join, keyed_scan, scan, sort_key,
    };
    use crate::tree::{AggregateKind, ColumnId, Relation};

    fn read(relation: Relation) -> Vec<Vec<usize>> {
        let plan = compile(relation).expect("supported");
        let nodes = plan.nodes.iter();
        nodes.map(|node| plan.columns_read(node)).collect()
    }

    #[test]
    fn an_order_that_only_the_node_needs_is_not_read() {
        let keys = ["$13", "$11"].map(|key| sort_key(key, "DESC NULLS LAST"));
        let by = [ColumnId(12)];
        let first = first_rows(keyed_scan(1, 10, "k"), &by, keys.into(), 0, Some(1), false);
        let joined = join(first, scan(2, 20, "r"), vec![condition("($12 = $22)")]);
        let shown = group(
            joined,
            &[(31, "g", "$21")],
            vec![aggregate(32, AggregateKind::SumInteger, "$11")],
        );
        // Columns of the node: the key $12, then $11, then $13, by which it sorts.
        assert_eq!(read(shown), [vec![0, 1], vec![]]);
    }

    #[test]
    fn conditions_read_too() {
        let sums = group(
            scan(1, 10, "r"),
            &[(21, "g", "$11")],
            vec![
                aggregate(22, AggregateKind::SumInteger, "$12"),
                aggregate(23, AggregateKind::SumInteger, "$13"),
            ],
        );
        let kept = filter(sums, vec![condition("($23 > 0)")]);
        let above = group(
            kept,
            &[(31, "g", "$21")],
            vec![aggregate(32, AggregateKind::CountStar, "")],
        );
        assert_eq!(read(above), [vec![0, 2], vec![]]);
    }
}

//! What a plan computes for rows that the query may not reach.
//!
//! A node holds its whole result: all groups, even if the query needs only that of one row's key or filters them
//! afterwards. An expression that fails for a row (`10 / x`) can then fail here, but not in the query.

use crate::tree::{AggregateKind, Expr};

use super::{Node, Plan};

impl Plan {
    /// Whether a node computes anything that may fail. `is_dependent`: for all rows what the query computes for some.
    pub fn computes_apart(&self, is_dependent: bool) -> bool {
        self.nodes.iter().any(|node| computes(node, is_dependent))
    }
}

fn computes(node: &Node, is_dependent: bool) -> bool {
    let is_computed = |expr: &Expr| expr.as_column().is_none() && !expr.columns().is_empty();
    let branches = &node.block.branches;
    let of_aggregates = node.aggregates.iter().any(|aggregate| {
        let read = aggregate.argument.iter().chain(&aggregate.filter);
        read.into_iter().any(is_computed)
            // What the server aggregates may fail as a whole: arrays of different lengths, keys that are NULL.
            || (is_dependent && aggregate.kind == AggregateKind::Recompute)
    });
    let of_rows = branches.iter().any(|branch| {
        branch.outputs.iter().any(is_computed)
            || (is_dependent && branch.predicates.iter().any(|p| p.equality.is_none()))
    });
    of_aggregates || of_rows
}

#[cfg(test)]
mod tests {
    use crate::plan::compile;
    use crate::tree::testing::{aggregate, condition, filter, group, scan};
    use crate::tree::{AggregateKind, Relation};

    #[test]
    fn plain_columns_do_not_fail() {
        let summed = |kind, argument: &str| {
            let call = aggregate(22, kind, argument);
            group(scan(1, 10, "r"), &[(21, "g", "$11")], vec![call])
        };
        let apart = |relation: Relation, is_dependent| {
            let plan = compile(relation).expect("supported");
            plan.computes_apart(is_dependent)
        };
        let sum = AggregateKind::SumInteger;
        assert!(!apart(scan(1, 10, "r"), true));
        assert!(!apart(summed(sum, "$12"), true));
        assert!(apart(summed(sum, "(10 / $12)"), false));
        let listed = || summed(AggregateKind::Recompute, "$12");
        assert!(!apart(listed(), false));
        assert!(apart(listed(), true));
        let filtered = || {
            let rows = filter(scan(1, 10, "r"), vec![condition("((10 / $12) > 1)")]);
            group(rows, &[(21, "g", "$11")], Vec::new())
        };
        assert!(!apart(filtered(), false));
        assert!(apart(filtered(), true));
    }
}

//! What a tree reads.

use std::collections::BTreeSet;

use super::column::ColumnId;
use super::expr::Expr;
use super::relation::Relation;

impl Relation {
    /// Whether a subquery in it is computed for each row of what is around it.
    pub fn has_dependent(&self) -> bool {
        matches!(self, Relation::Apply { .. }) || self.inputs().iter().any(|i| i.has_dependent())
    }

    /// The identities of the output columns.
    pub fn ids(&self) -> BTreeSet<ColumnId> {
        self.columns().iter().map(|c| c.id).collect()
    }

    /// The columns that the operator itself reads of its inputs, or of the rows around the tree.
    pub fn reads(&self) -> BTreeSet<ColumnId> {
        match self {
            Relation::Conditioned { condition, .. } => condition.reads(),
            // Direct arguments read keys.
            Relation::Aggregate { keys, .. } => {
                let own = |id: &ColumnId| keys.iter().any(|(key, _)| key.id == *id);
                let reads = self.exprs().into_iter().flat_map(Expr::columns);
                reads.filter(|id| !own(id)).collect()
            }
            _ => self.exprs().into_iter().flat_map(Expr::columns).collect(),
        }
    }

    /// The columns that the tree reads and does not make: those of the rows around it.
    pub fn free(&self) -> BTreeSet<ColumnId> {
        let mut reads = BTreeSet::new();
        self.collect_reads(&mut reads);
        for id in self.made_columns() {
            reads.remove(&id);
        }
        reads
    }

    /// Whether it is made of tables by operators that have a plain text, and whose result follows from their inputs as
    /// sets of rows alone.
    pub fn is_plain(&self) -> bool {
        let is_plain = match self {
            Relation::Scan(_)
            | Relation::Filter { .. }
            | Relation::Project { .. }
            | Relation::Join { .. }
            | Relation::FullJoin { .. }
            | Relation::UnionAll { .. }
            | Relation::Aggregate { .. }
            | Relation::Distinct { .. } => true,
            Relation::LeftJoin { present, .. } => present.is_none(),
            Relation::Opaque(_)
            | Relation::SingleRow
            | Relation::Bounded { .. }
            | Relation::Conditioned { .. }
            | Relation::Expand { .. }
            | Relation::Apply { .. }
            | Relation::Window { .. }
            | Relation::TopN { .. } => false,
        };
        is_plain && self.inputs().iter().all(|input| input.is_plain())
    }

    fn collect_reads(&self, reads: &mut BTreeSet<ColumnId>) {
        reads.extend(self.reads());
        for input in self.inputs() {
            input.collect_reads(reads);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::AggregateKind;
    use crate::tree::testing::{aggregate, condition, filter, group, scan};

    #[test]
    fn what_a_tree_reads_and_does_not_make_is_free() {
        let correlated = group(
            filter(scan(1, 10, "r"), vec![condition("($11 > $7)")]),
            &[(21, "g", "$12")],
            vec![aggregate(22, AggregateKind::SumInteger, "($13 + $8)")],
        );
        let free: Vec<u32> = correlated.free().into_iter().map(|id| id.0).collect();
        assert_eq!(free, [7, 8]);
        assert!(scan(1, 10, "r").free().is_empty());
    }

    #[test]
    fn a_grouping_does_not_read_its_own_keys() {
        let call = "percentile_cont($21) WITHIN GROUP (ORDER BY $12)";
        let calls = vec![aggregate(22, AggregateKind::Recompute, call)];
        let grouped = group(scan(1, 10, "r"), &[(21, "g", "$11")], calls);
        let read: Vec<u32> = grouped.reads().into_iter().map(|id| id.0).collect();
        assert_eq!(read, [11, 12]);
    }
}

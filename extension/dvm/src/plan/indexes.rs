//! Indexes that the delta statements would use but the sources lack.

use std::collections::BTreeSet;

use super::maintenance::Partition;
use crate::tree::{ColumnId, Expr, Predicate, Scan};

use super::block::{BlockScan, Branch, Outer};
use super::{Image, Node, Output, Plan};

/// An index that would spare a scan of a whole source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingIndex {
    /// The source, qualified and quoted.
    pub relation: String,
    /// The column (quoted) or the expression (in parentheses) that the index should lead with.
    pub column: String,
    /// What looks it up.
    pub purpose: &'static str,
}

impl Plan {
    /// Every missing index, each once.
    pub fn missing_indexes(&self) -> Vec<MissingIndex> {
        let mut missing = BTreeSet::new();
        for block in self.images.iter().flat_map(Image::blocks) {
            block
                .branches
                .iter()
                .for_each(|branch| joins(branch, &mut missing));
        }
        for node in &self.nodes {
            for branch in &node.block.branches {
                joins(branch, &mut missing);
                bounds(branch, &mut missing);
                if node.may_recompute() {
                    group_keys(node, branch, &mut missing);
                }
                first_rows(node, branch, &mut missing);
            }
        }
        if let Output::Linear { block, .. } = &self.output {
            for branch in &block.branches {
                joins(branch, &mut missing);
                bounds(branch, &mut missing);
            }
        }
        missing.into_iter().collect()
    }
}

/// Join columns: each table that is joined by equality needs an index on one side of one of them.
fn joins(branch: &Branch, missing: &mut BTreeSet<MissingIndex>) {
    for table in tables(branch) {
        let own: BTreeSet<ColumnId> = table.columns.iter().map(|c| c.column.id).collect();
        let candidates: Vec<&Expr> = conditions(branch)
            .filter_map(|p| p.equality.as_ref())
            .flat_map(|(l, r)| [(l, r), (r, l)])
            .filter(|(inner, outer)| {
                let (inner, outer) = (inner.columns(), outer.columns());
                !inner.is_empty()
                    && inner.is_subset(&own)
                    && !outer.is_empty()
                    && outer.is_disjoint(&own)
            })
            .map(|(inner, _)| inner)
            .collect();
        suggest(table, &candidates, "join", missing);
    }
}

/// Values that are compared with a moving bound.
fn bounds(branch: &Branch, missing: &mut BTreeSet<MissingIndex>) {
    for factor in &branch.scans {
        let (BlockScan::Bound { value, .. }
        | BlockScan::Condition {
            found_by: Some((value, _)),
            ..
        }) = &factor.scan
        else {
            continue;
        };
        for table in tables(branch) {
            let own: BTreeSet<ColumnId> = table.columns.iter().map(|c| c.column.id).collect();
            let reads = value.columns();
            if !reads.is_empty() && reads.is_subset(&own) {
                suggest(table, &[value], "moving bound", missing);
            }
        }
    }
}

/// Every condition that connects relations: inner joins', outer joins' and sets' of matches.
fn conditions(branch: &Branch) -> impl Iterator<Item = &Predicate> {
    let outer = branch.scans.iter().filter_map(|f| f.outer.as_ref());
    branch
        .predicates
        .iter()
        .chain(outer.flat_map(Outer::conditions))
}

/// Group keys of groups that are recomputed.
fn group_keys(node: &Node, branch: &Branch, missing: &mut BTreeSet<MissingIndex>) {
    let keys: Vec<&Expr> = branch.outputs.iter().take(node.keys.len()).collect();
    if keys.is_empty() {
        return;
    }
    let supported = tables(branch).any(|table| keys.iter().any(|key| has_index(table, key)));
    if supported {
        return;
    }
    for table in tables(branch) {
        let own: BTreeSet<ColumnId> = table.columns.iter().map(|c| c.column.id).collect();
        let candidates: Vec<&Expr> = keys
            .iter()
            .copied()
            .filter(|key| {
                let reads = key.columns();
                !reads.is_empty() && reads.is_subset(&own)
            })
            .collect();
        if !candidates.is_empty() {
            suggest(table, &candidates, "recomputed group", missing);
            return;
        }
    }
}

/// What the first rows of a whole table are ordered by.
fn first_rows(node: &Node, branch: &Branch, missing: &mut BTreeSet<MissingIndex>) {
    let Some(Partition::TopN { order, .. }) = node.partition() else {
        return;
    };
    let first = order.first().and_then(|key| key.expr.as_column());
    let position = node.block.columns.iter().position(|c| Some(c.id) == first);
    let value = position.and_then(|position| branch.outputs.get(position));
    if let (true, [factor], Some(value)) = (node.is_global(), branch.scans.as_slice(), value)
        && let BlockScan::Table(table) = &factor.scan
        && !value.columns().is_empty()
    {
        suggest(table, &[value], "first rows", missing);
    }
}

fn tables(branch: &Branch) -> impl Iterator<Item = &Scan> {
    branch.scans.iter().filter_map(|factor| match &factor.scan {
        BlockScan::Table(table) => Some(table),
        BlockScan::Node { .. }
        | BlockScan::Image { .. }
        | BlockScan::Bound { .. }
        | BlockScan::Condition { .. }
        | BlockScan::Expand { .. } => None,
    })
}

/// Whether an index leads with the column. An expression may be served by any expression index.
fn has_index(table: &Scan, key: &Expr) -> bool {
    let attnum = key.as_column().and_then(|id| {
        table
            .columns
            .iter()
            .find(|c| c.column.id == id)
            .map(|c| c.attnum)
    });
    let own: BTreeSet<ColumnId> = table.columns.iter().map(|c| c.column.id).collect();
    key.columns().is_subset(&own)
        && table.indexes.iter().any(|index| match attnum {
            Some(attnum) => index.attnums.first() == Some(&Some(attnum)),
            None => index.attnums.first() == Some(&None),
        })
}

fn suggest(
    table: &Scan,
    candidates: &[&Expr],
    purpose: &'static str,
    missing: &mut BTreeSet<MissingIndex>,
) {
    if candidates.iter().any(|key| has_index(table, key)) {
        return;
    }
    let Some(first) = candidates.first() else {
        return;
    };
    let text = first.render(|id| {
        table
            .columns
            .iter()
            .find(|c| c.column.id == id)
            .map_or_else(String::new, |c| c.quoted.clone())
    });
    missing.insert(MissingIndex {
        relation: table.relation.trim_start_matches("ONLY ").to_owned(),
        column: if first.as_column().is_some() {
            text
        } else {
            format!("({text})")
        },
        purpose,
    });
}

#[cfg(test)]
mod tests {
    use crate::plan::compile;
    use crate::tree::testing::{
        aggregate, equal, first_rows, group, join, keyed_scan, scan, sort_key,
    };
    use crate::tree::{AggregateKind, ColumnId, Relation};

    fn missing(relation: Relation) -> Vec<String> {
        let plan = compile(relation).expect("supported");
        plan.missing_indexes()
            .into_iter()
            .map(|m| format!("{}({}) for {}", m.relation, m.column, m.purpose))
            .collect()
    }

    #[test]
    fn each_side_of_a_join_wants_an_index() {
        let both = join(
            scan(1, 10, "r"),
            scan(2, 20, "ONLY s"),
            vec![equal("$11", "($22 + 1)")],
        );
        assert_eq!(missing(both), ["r(a) for join", "s(((b + 1))) for join"]);
    }

    #[test]
    fn one_index_among_the_joined_columns_is_enough() {
        let both = join(
            keyed_scan(1, 10, "r"),
            keyed_scan(2, 20, "s"),
            vec![equal("$11", "$21"), equal("$12", "$22")],
        );
        assert_eq!(missing(both), [""; 0]);
    }

    #[test]
    fn first_rows_want_an_index_in_their_order() {
        let first = |by: &[u32], column: &str| {
            let by: Vec<ColumnId> = by.iter().map(|id| ColumnId(*id)).collect();
            let keys = [column, "$11", "$12", "$13"].map(|c| sort_key(c, "ASC NULLS LAST"));
            first_rows(
                keyed_scan(1, 10, "r"),
                &by,
                keys.to_vec(),
                0,
                Some(2),
                false,
            )
        };
        assert_eq!(missing(first(&[], "$12")), ["r(b) for first rows"]);
        assert_eq!(missing(first(&[], "$11")), [""; 0]);
        assert_eq!(missing(first(&[13], "$12")), ["r(c) for recomputed group"]);
    }

    #[test]
    fn only_groups_that_may_be_recomputed_want_an_index() {
        let by = |kind| {
            let call = aggregate(22, kind, "$12");
            group(scan(1, 10, "r"), &[(21, "g", "$11")], vec![call])
        };
        assert_eq!(
            missing(by(AggregateKind::Max)),
            ["r(a) for recomputed group"]
        );
        assert_eq!(missing(by(AggregateKind::SumInteger)), [""; 0]);
    }
}

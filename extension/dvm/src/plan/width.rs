//! The width of a plan's statements: the server limits each list of columns.

use std::collections::BTreeSet;

use crate::Error;
use crate::plan::{Block, BlockScan, Branch, Factor, Identity, Node, Output, Plan, Store};
use crate::tree::ColumnId;

use super::{Accumulator, Maintenance};

/// Entries of a target list (`MaxTupleAttributeNumber`).
const TARGETS_MAX: usize = 1664;
/// Columns of a table (`MaxHeapAttributeNumber`).
const COLUMNS_MAX: usize = 1600;
/// Columns of a change buffer beside those of the table.
const BUFFER_COLUMNS: usize = 3;

/// Refuses a plan whose statements would have too many columns.
///
/// # Errors
/// [`Error::TooWide`].
pub fn require_narrow(plan: &Plan) -> Result<(), Error> {
    let nodes = plan.nodes.iter().map(|node| of_node(plan, node));
    let blocks = plan.blocks().map(of_block);
    let targets = nodes.chain(blocks).max().unwrap_or(0);
    within(targets, TARGETS_MAX)?;
    let tables = plan
        .blocks()
        .flat_map(|b| &b.branches)
        .flat_map(|b| &b.scans);
    let buffers = tables.map(|factor| match &factor.scan {
        BlockScan::Table(table) => table.columns.len() + BUFFER_COLUMNS,
        _ => 0,
    });
    within(buffers.max().unwrap_or(0), COLUMNS_MAX)
}

fn within(columns: usize, limit: usize) -> Result<(), Error> {
    if columns <= limit {
        Ok(())
    } else {
        Err(Error::TooWide { columns, limit })
    }
}

/// The widest list of the statements over a node's groups: delta, whether it was found, old state, new state and
/// results side by side.
fn of_node(plan: &Plan, node: &Node) -> usize {
    let state = node.state_width();
    let is_last = plan.nodes.last().is_some_and(|last| last.id == node.id);
    // Rows that are not found by a key are told with what they were.
    let (outputs, times) = match &plan.output {
        Output::Post {
            exprs, identity, ..
        } if is_last => match identity {
            Identity::Key { .. } => (exprs.len(), 1),
            Identity::Image => (exprs.len(), 2),
        },
        _ => (node.columns().len(), 2),
    };
    if node.partition().is_some() || matches!(node.store, Store::None) {
        return 2 + state + outputs;
    }
    let delta = match &node.maintenance {
        Maintenance::Accumulate { accumulators, .. } => {
            let is_extremum = |a: &&Accumulator| matches!(a, Accumulator::Extremum { .. });
            let removed = accumulators.iter().filter(is_extremum).count();
            node.keys.len() + 1 + accumulators.len() + removed
        }
        Maintenance::Recompute | Maintenance::Partition(_) | Maintenance::Rows => {
            node.keys.len() + 1
        }
    };
    let groups = delta + 1 + state;
    let combined = groups + (state - node.keys.len()) + 1;
    let results = combined + times * (node.aggregates.len() + 1) + 1;
    results.max(2 + state + times * (outputs + 1))
}

/// The widest list of a block's delta: what is computed, or what is carried from one join to the next.
fn of_block(block: &Block) -> usize {
    let carried = block.branches.iter().map(carried).max().unwrap_or(0);
    block.columns.len().max(carried) + 1
}

/// What is carried over joins of all tables but one, in whatever order they are joined.
fn carried(branch: &Branch) -> usize {
    let mut needed: BTreeSet<ColumnId> = BTreeSet::new();
    for expr in &branch.outputs {
        needed.extend(expr.columns());
    }
    for predicate in &branch.predicates {
        needed.extend(predicate.expr.columns());
    }
    let of_scan = |factor: &Factor| {
        let own = factor.column_ids();
        own.into_iter().filter(|id| needed.contains(id)).count()
    };
    let widths = branch.scans.iter().map(of_scan);
    widths.clone().sum::<usize>() - widths.min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::compile;
    use crate::tree::Relation;
    use crate::tree::testing::{integer, scan_of};

    /// `SELECT DISTINCT` of so many columns.
    fn distinct(columns: usize) -> Relation {
        let names: Vec<String> = (0..columns).map(|at| format!("c{at}")).collect();
        let columns: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), integer()))
            .collect();
        let input = Relation::Scan(scan_of(1, 10, "t", &columns));
        Relation::Distinct {
            input: Box::new(input),
        }
    }

    #[test]
    fn rows_of_many_columns_are_compared_as_long_as_they_fit_side_by_side() {
        assert!(compile(distinct(800)).is_ok());
        let refused = compile(distinct(900));
        let is_too_wide = matches!(refused, Err(Error::TooWide { limit: 1664, .. }));
        assert!(is_too_wide, "{refused:?}");
    }
}

//! The state of a node, whatever its operator.

use std::collections::BTreeSet;

use crate::plan::{Node, Source};
use crate::sql::names::column;

use super::aggregate;
use super::first_rows;
use super::{partition, reach, rows};
use crate::operators::statement::{BlockDelta, Context};
use crate::plan::Maintenance;

/// Names of the state columns.
pub fn names(node: &Node) -> Vec<String> {
    match node.maintenance {
        Maintenance::Partition(_) => partition::state_names(node),
        Maintenance::Accumulate { .. } | Maintenance::Recompute | Maintenance::Rows => {
            aggregate::state_names(node)
        }
    }
}

/// What is touched: one row per key, for groups that are added up with what is to be added. For a node that keeps
/// rows, or has windows in an order, the changed ones.
pub fn delta(context: Context<'_>, node: &Node, changed: &BTreeSet<Source>) -> BlockDelta {
    let touched = || aggregate::delta(context, node, changed);
    match &node.maintenance {
        Maintenance::Partition(rule) if rule.order().is_some() => {
            reach::changes(context, node, changed)
        }
        Maintenance::Partition(rule) => {
            first_rows::touched(context, node, rule, changed).unwrap_or_else(touched)
        }
        Maintenance::Accumulate { .. } | Maintenance::Recompute => touched(),
        Maintenance::Rows => rows::delta(context, node, changed),
    }
}

/// The whole state, from nothing.
pub fn initial(context: Context<'_>, node: &Node) -> String {
    match &node.maintenance {
        Maintenance::Partition(rule) => partition::initial(context, node, rule),
        Maintenance::Rows => rows::initial(context, node),
        Maintenance::Accumulate { .. } | Maintenance::Recompute => {
            aggregate::initial(context, node)
        }
    }
}

/// The node's output columns `c0`… over its state table.
pub fn output(node: &Node, table: &str) -> String {
    let Maintenance::Partition(_) = node.maintenance else {
        return aggregate::state_output(node, table);
    };
    let mut items: Vec<String> = partition::state_names(node)
        .into_iter()
        .enumerate()
        .map(|(position, name)| format!("{name} AS {}", column(position)))
        .collect();
    if items.is_empty() {
        items.push("1".into());
    }
    format!("SELECT {} FROM {table}", items.join(", "))
}

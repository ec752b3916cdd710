//! The state of a node, whatever its operator.

use std::collections::BTreeSet;

use crate::plan::{Node, Source};

use super::aggregate;
use super::first_rows;
use super::links::Links;
use super::{partition, reach, rows};
use crate::operators::statement::{BlockDelta, Context};
use crate::plan::Maintenance;

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
    let context = context.linking(Links::Hashed);
    match &node.maintenance {
        Maintenance::Partition(rule) => partition::initial(context, node, rule),
        Maintenance::Rows => rows::initial(context, node),
        Maintenance::Accumulate { .. } | Maintenance::Recompute => {
            aggregate::initial(context, node)
        }
    }
}

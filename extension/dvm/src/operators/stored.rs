//! What a node's state table holds, and how its output is read from there.

use crate::plan::{Maintenance, Node};
use crate::sql::names::{accumulator, column, key};

/// Names of the state columns: the keys, then row count and accumulators, or what is computed for each key; for
/// partitions the other columns of the input, then the results.
pub fn names(node: &Node) -> Vec<String> {
    let mut names: Vec<String> = (0..node.keys.len()).map(key).collect();
    let rest = match &node.maintenance {
        Maintenance::Accumulate { accumulators, .. } => {
            names.push("n".into());
            accumulators.len()
        }
        Maintenance::Recompute | Maintenance::Rows => node.aggregates.len(),
        Maintenance::Partition(_) => node.columns().len() - names.len(),
    };
    names.extend((0..rest).map(accumulator));
    names
}

/// Each aggregate's result over state columns with the prefix.
pub(super) fn finals(node: &Node, prefix: &str) -> Vec<String> {
    match &node.maintenance {
        Maintenance::Accumulate { finals, .. } => {
            let global = node.is_global();
            finals.iter().map(|f| f.sql(prefix, global)).collect()
        }
        Maintenance::Recompute | Maintenance::Partition(_) | Maintenance::Rows => {
            let results = 0..node.aggregates.len();
            results
                .map(|i| format!("{prefix}{}", accumulator(i)))
                .collect()
        }
    }
}

/// The node's output columns `c0`… over its state table.
pub fn output(node: &Node, table: &str) -> String {
    let shown = match node.partition() {
        Some(_) => names(node),
        None => {
            let mut shown: Vec<String> = (0..node.keys.len()).map(key).collect();
            shown.extend(finals(node, ""));
            shown
        }
    };
    let items: Vec<String> = (shown.iter().enumerate())
        .map(|(position, sql)| format!("{sql} AS {}", column(position)))
        .collect();
    match items.is_empty() {
        true => format!("SELECT 1 FROM {table}"),
        false => format!("SELECT {} FROM {table}", items.join(", ")),
    }
}

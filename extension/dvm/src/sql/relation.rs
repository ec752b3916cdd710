//! Rendering a scan in one of its roles, and expressions over scans.

use std::collections::HashMap;

use crate::operators::aggregate;
use crate::operators::join::Context;
use crate::plan::{BlockScan, Branch};
use crate::tree::{ColumnId, Expr};

use super::names;

/// What a scan stands for in a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The relation as the snapshot shows it.
    State,
    /// The relation's delta.
    Delta,
}

/// The FROM item of a scan, under the alias `s<position>`.
/// `printed` says how the columns print that it reads.
pub(crate) fn from_item(
    context: Context<'_>,
    scan: &BlockScan,
    role: Role,
    position: usize,
    printed: &HashMap<ColumnId, String>,
) -> String {
    if let (Role::Delta, Some(source)) = (role, scan.source()) {
        return format!("{} AS s{position}", names::delta(source));
    }
    match scan {
        BlockScan::Table(table) => format!("{} AS s{position}", table.relation),
        BlockScan::Node { node, .. } => {
            let node = context.plan.nodes.get(*node);
            let output = node.map_or_else(String::new, |node| {
                aggregate::state_output(node, &state_table(context.state_prefix, node.id))
            });
            format!("({output}) AS s{position}")
        }
        BlockScan::Expand { item, columns, .. } => {
            let names: Vec<String> = (0..columns.len()).map(names::column).collect();
            let list = if names.is_empty() {
                String::new()
            } else {
                format!("({})", names.join(", "))
            };
            format!(
                "LATERAL {} AS s{position}{list}",
                render_over(item, printed)
            )
        }
    }
}

/// The state table of a node.
pub fn state_table(state_prefix: &str, node: usize) -> String {
    format!("{state_prefix}{node}")
}

/// How each column of a branch prints, given the role of each scan.
pub(crate) fn column_names(branch: &Branch, roles: &[Role]) -> HashMap<ColumnId, String> {
    let mut printed = HashMap::new();
    for (position, (scan, role)) in branch.scans.iter().zip(roles).enumerate() {
        match scan {
            BlockScan::Table(table) => {
                for column in &table.columns {
                    let name = match role {
                        Role::State => column.quoted.clone(),
                        Role::Delta => names::attribute(column.attnum),
                    };
                    printed.insert(column.column.id, format!("s{position}.{name}"));
                }
            }
            BlockScan::Node { columns, .. } | BlockScan::Expand { columns, .. } => {
                for (index, column) in columns.iter().enumerate() {
                    printed.insert(column.id, format!("s{position}.{}", names::column(index)));
                }
            }
        }
    }
    printed
}

/// An expression over columns that print as given.
pub fn render_over(expr: &Expr, printed: &HashMap<ColumnId, String>) -> String {
    expr.render(|id| {
        printed
            .get(&id)
            .cloned()
            .unwrap_or_else(|| format!("unresolved_column_{}", id.0))
    })
}

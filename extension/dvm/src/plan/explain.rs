//! A plan in words, for `explain_st` and for snapshot tests.

use std::fmt::{self, Display, Formatter};

use super::maintenance::Maintenance;
use crate::tree::Expr;

use super::block::{Block, BlockScan, Matched};
use super::{Identity, Output, Plan, Store};

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for image in &self.images {
            let rule = image.recursion.as_ref().map(|recursion| recursion.distinct);
            let (what, when) = match (image.is_bound, image.opaque.polled, rule) {
                (true, ..) => ("bound", "a value that changes with time"),
                (_, true, _) => ("image", "recomputed whole at each refresh"),
                (_, _, None) => ("image", "recomputed whole when its sources change"),
                (_, _, Some(true)) => ("image", "a recursion, by deltas: delete and rederive"),
                (_, _, Some(false)) => ("image", "a recursion, by deltas: of every derivation"),
            };
            writeln!(f, "{what} {}: {when}", image.id)?;
            let query: Vec<&str> = image.opaque.query.split_whitespace().collect();
            writeln!(f, "  {}", query.join(" "))?;
            for block in image.blocks() {
                write_block(f, block)?;
            }
        }
        for node in &self.nodes {
            let keys: Vec<&str> = node.keys.iter().map(|k| k.name.as_str()).collect();
            let operator = match node.partition() {
                Some(partition) => partition.name(),
                None if node.keeps_rows() => "rows",
                None if node.aggregates.is_empty() => "distinct",
                None => "aggregate",
            };
            let by = if node.keeps_rows() { "of" } else { "by" };
            writeln!(f, "node {}: {operator} {by} ({})", node.id, keys.join(", "))?;
            match &node.maintenance {
                Maintenance::Accumulate { accumulators, .. } => {
                    writeln!(
                        f,
                        "  state: row count and {} accumulators",
                        accumulators.len()
                    )?;
                }
                Maintenance::Recompute => writeln!(f, "  touched groups are recomputed")?,
                Maintenance::Rows => {}
                Maintenance::Partition(rule) if rule.order().is_some() => {
                    let first = rule.order().and_then(|o| node.block.columns.get(o.column));
                    let by = first.map_or("", |column| column.name.as_str());
                    writeln!(f, "  rows affected in the order of {by} are recomputed")?;
                }
                Maintenance::Partition(_) if node.is_global() => {
                    writeln!(f, "  the whole input is recomputed")?;
                }
                Maintenance::Partition(_) => writeln!(f, "  touched partitions are recomputed")?,
            }
            match &node.store {
                Store::Table { .. } => writeln!(f, "  stored in a state table")?,
                Store::Output(_) => writeln!(f, "  the stream table is its own state")?,
                Store::None => writeln!(f, "  no state")?,
            }
            write_block(f, &node.block)?;
        }
        match &self.output {
            Output::Linear { block, .. } => {
                writeln!(f, "output: linear")?;
                write_block(f, block)?;
            }
            Output::Post { predicates, .. } => {
                writeln!(f, "output: projection of the last node")?;
                if !predicates.is_empty() {
                    writeln!(f, "  {} conditions", predicates.len())?;
                }
            }
        }
        match self.output.identity() {
            Identity::Image => writeln!(f, "rows match by image"),
            Identity::Key { columns, .. } if columns.is_empty() => writeln!(f, "a single row"),
            Identity::Key { columns, .. } => {
                let names: Vec<&str> = columns
                    .iter()
                    .filter_map(|p| self.columns.get(*p))
                    .map(|c| c.name.as_str())
                    .collect();
                writeln!(f, "rows match by key ({})", names.join(", "))
            }
        }
    }
}

fn write_block(f: &mut Formatter<'_>, block: &Block) -> fmt::Result {
    for branch in &block.branches {
        let names = block_names(branch);
        let mut join = String::new();
        for (position, factor) in branch.scans.iter().enumerate() {
            let name = match &factor.scan {
                BlockScan::Table(table) => match table.visible.condition() {
                    Some(condition) => format!("{} (seen where {condition})", table.relation),
                    None => table.relation.clone(),
                },
                BlockScan::Node { node, .. } => format!("node {node}"),
                BlockScan::Image { image, .. } => format!("image {image}"),
                BlockScan::Bound {
                    image,
                    value,
                    operator,
                    ..
                } => {
                    format!("{} {operator} bound {image}", show(value, &names))
                }
                BlockScan::Condition {
                    column, condition, ..
                } => format!("{} as {}", show(condition, &names), column.name),
                BlockScan::Expand { item, .. } => show(item, &names),
            };
            match &factor.outer {
                None if position == 0 => join.push_str(&name),
                None => join.push_str(&format!(" ⋈ {name}")),
                Some(outer) => {
                    let on: Vec<String> = outer.on.iter().map(|p| show(&p.expr, &names)).collect();
                    let set = match &outer.matched {
                        Matched::Itself => String::new(),
                        Matched::Set { node, .. } => format!(" matched by node {node}"),
                    };
                    let on = if on.is_empty() {
                        "true".to_owned()
                    } else {
                        on.join(" and ")
                    };
                    join.push_str(&format!(" ⟕ {name} on {on}{set}"));
                }
            }
        }
        if join.is_empty() {
            join.push_str("constant row");
        }
        let conditions: Vec<String> = branch
            .predicates
            .iter()
            .map(|p| show(&p.expr, &names))
            .collect();
        if conditions.is_empty() {
            writeln!(f, "  {join}")?;
        } else {
            writeln!(f, "  {join} where {}", conditions.join(" and "))?;
        }
    }
    Ok(())
}

fn block_names(branch: &super::Branch) -> Vec<(crate::tree::ColumnId, String)> {
    branch
        .scans
        .iter()
        .flat_map(|factor| {
            let mut names = match &factor.scan {
                BlockScan::Table(table) => table
                    .columns
                    .iter()
                    .map(|c| (c.column.id, c.quoted.clone()))
                    .collect::<Vec<_>>(),
                BlockScan::Node { columns, .. }
                | BlockScan::Image { columns, .. }
                | BlockScan::Expand { columns, .. } => {
                    columns.iter().map(|c| (c.id, c.name.clone())).collect()
                }
                BlockScan::Bound { .. } => Vec::new(),
                BlockScan::Condition {
                    image,
                    bound,
                    column,
                    ..
                } => vec![
                    (*bound, format!("bound {image}")),
                    (column.id, column.name.clone()),
                ],
            };
            names.extend(
                factor
                    .outer
                    .as_ref()
                    .map(|outer| (outer.present, "has match".to_owned())),
            );
            names
        })
        .collect()
}

fn show(expr: &Expr, names: &[(crate::tree::ColumnId, String)]) -> String {
    expr.render(|id| {
        names
            .iter()
            .find(|(known, _)| *known == id)
            .map_or_else(|| "?".to_owned(), |(_, name)| name.clone())
    })
}

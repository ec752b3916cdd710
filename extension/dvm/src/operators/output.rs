//! The content of the stream table, computed whole and by deltas.

use std::collections::BTreeSet;

use crate::plan::{Output, Source, Store};
use crate::sql::names::column;
use crate::sql::render_over;
use crate::sql::state_table;

use super::join;
use super::links::Links;
use super::stored;
use crate::operators::statement::{BlockDelta, Context, push_where};

/// The whole content over images and the nodes' state, or `None` when the defining query itself is to be read
/// because no node keeps state of its own.
pub fn initial(context: Context<'_>) -> Option<String> {
    let context = context.linking(Links::Hashed);
    let plan = context.plan;
    match &plan.output {
        Output::Linear { .. } if plan.nodes.is_empty() && !plan.has_images() => None,
        Output::Linear { block, .. } => {
            let columns: Vec<String> = (0..plan.columns.len()).map(column).collect();
            let list = if columns.is_empty() {
                String::new()
            } else {
                columns.join(", ")
            };
            Some(format!(
                "SELECT {list}\nFROM (\n{}\n) AS d",
                join::state(context, block, &column)
            ))
        }
        Output::Post {
            predicates, exprs, ..
        } => {
            let node = plan.nodes.last()?;
            if !matches!(node.store, Store::Table { .. }) {
                return None;
            }
            let printed = node
                .columns()
                .iter()
                .enumerate()
                .map(|(position, c)| (c.id, format!("d.{}", column(position))))
                .collect();
            let items: Vec<String> = exprs
                .iter()
                .enumerate()
                .map(|(i, e)| format!("{} AS {}", render_over(e, &printed), column(i)))
                .collect();
            let mut sql = format!(
                "SELECT {}\nFROM ({}) AS d",
                items.join(", "),
                stored::output(node, &state_table(context.state_prefix, node.id))
            );
            let conditions: Vec<String> = predicates
                .iter()
                .map(|p| format!("({})", render_over(&p.expr, &printed)))
                .collect();
            push_where(&mut sql, &conditions);
            Some(sql)
        }
    }
}

/// The delta of a linear output: the columns, then the weight.
pub fn delta(context: Context<'_>, changed: &BTreeSet<Source>) -> BlockDelta {
    match &context.plan.output {
        Output::Linear { block, .. } => join::differentiate(context, block, changed, &column),
        Output::Post { .. } => BlockDelta::default(),
    }
}

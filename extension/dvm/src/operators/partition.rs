//! Window functions, and the first rows of an order: operators whose rows for a key are a function of the
//! input rows with that key.
//!
//! ```text
//! P(R)  = ⊎ over keys k of f(R_k)
//! ΔP(R) = ⊎ over keys k of ΔR of  f(R⁺_k) − f(R⁻_k)
//! ```
//! `f(R⁺_k)` is computed by the server; `f(R⁻_k)` are the stored rows with the key. What is written is the
//! difference, row by row, by image.
//!
//! State: the operator's rows, which may be those of the stream table. Cost: the size of the touched
//! partitions, found through an index on the key; without a key there is one partition, the whole input.
//! [`crate::plan`] refuses functions and limits whose result depends on the order of rows that ORDER BY
//! does not tell apart.

use std::collections::HashMap;

use crate::plan::Node;
use crate::sql::names::{TOUCHED, accumulator, column, input, key};
use crate::sql::render_over;
use crate::tree::{ColumnId, Expr, SortKey, WindowCall};

use super::aggregate::Emit;
use super::join::{self, Context};

/// What is computed for each partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Partition {
    /// Each row with the results of window functions.
    Window {
        /// The calls.
        calls: Vec<WindowCall>,
    },
    /// The first rows of an order.
    TopN {
        /// The order.
        order: Vec<SortKey>,
        /// How many rows are skipped.
        offset: u64,
        /// How many rows are kept after that.
        limit: Option<u64>,
        /// Whether rows equal in the order to the last one are kept, too.
        with_ties: bool,
    },
}

impl Partition {
    /// The columns that are computed beside those of the input.
    pub fn calls(&self) -> &[WindowCall] {
        match self {
            Partition::Window { calls } => calls,
            Partition::TopN { .. } => &[],
        }
    }

    /// The calls, to be changed.
    pub fn calls_mut(&mut self) -> &mut [WindowCall] {
        match self {
            Partition::Window { calls } => calls,
            Partition::TopN { .. } => &mut [],
        }
    }

    /// Its name in explanations.
    pub fn name(&self) -> &'static str {
        match self {
            Partition::Window { .. } => "window",
            Partition::TopN { .. } => "first rows",
        }
    }
}

/// Which rows are computed.
#[derive(Debug, Clone, Copy)]
enum Rows<'a> {
    /// All of them.
    All,
    /// Those of the keys in [`TOUCHED`]. A flag says that this key is NULL in every one of them.
    Touched(&'a [bool]),
}

/// Names of the state columns: the keys, then the other columns of the input, then the results.
pub fn state_names(node: &Node) -> Vec<String> {
    let keys = node.keys.len();
    (0..node.columns().len())
        .map(|position| match position.checked_sub(keys) {
            None => key(position),
            Some(rest) => accumulator(rest),
        })
        .collect()
}

/// The state, from nothing.
pub fn initial(context: Context<'_>, node: &Node, partition: &Partition) -> String {
    let names = state_names(node);
    let items: Vec<String> = names.iter().map(|name| format!("g.{name}")).collect();
    format!(
        "SELECT {}\nFROM {}",
        items.join(", "),
        rows(context, node, partition, Rows::All)
    )
}

/// The rows `c0`… that a consumer wants of the partitions in the ephemeral relation [`TOUCHED`] (`ord int`,
/// keys). A bit of `null_keys` says that this key is NULL in every one of them, so that the others can use
/// indexes.
pub fn recompute(
    context: Context<'_>,
    node: &Node,
    partition: &Partition,
    emit: &Emit<'_>,
    null_keys: &[bool],
) -> String {
    let printed: HashMap<ColumnId, String> = node
        .columns()
        .into_iter()
        .zip(state_names(node))
        .map(|(column, name)| (column.id, format!("g.{name}")))
        .collect();
    let print = |expr: &Expr| render_over(expr, &printed);
    let mut items: Vec<String> = emit
        .exprs
        .iter()
        .enumerate()
        .map(|(position, expr)| format!("{} AS {}", print(expr), column(position)))
        .collect();
    if items.is_empty() {
        items.push("1 AS one".into());
    }
    let mut sql = format!(
        "SELECT {}\nFROM {}",
        items.join(", "),
        rows(context, node, partition, Rows::Touched(null_keys))
    );
    let conditions: Vec<String> = emit
        .predicates
        .iter()
        .map(|p| format!("({})", print(&p.expr)))
        .collect();
    join::push_where(&mut sql, &conditions);
    sql
}

/// The operator's rows as a FROM item `g`, with the columns of the state.
fn rows(context: Context<'_>, node: &Node, partition: &Partition, rows: Rows<'_>) -> String {
    let keys = node.keys.len();
    let block_name = move |position: usize| match position.checked_sub(keys) {
        None => key(position),
        Some(rest) => input(rest),
    };
    let printed: HashMap<ColumnId, String> = node
        .block
        .columns
        .iter()
        .enumerate()
        .map(|(position, c)| (c.id, format!("d.{}", block_name(position))))
        .collect();
    let print = |expr: &Expr| render_over(expr, &printed);
    let by: Vec<String> = (0..keys).map(|k| format!("d.{}", key(k))).collect();
    let names = state_names(node);
    let mut items: Vec<String> = (0..node.block.columns.len())
        .map(block_name)
        .zip(&names)
        .map(|(from, to)| format!("d.{from} AS {to}"))
        .collect();
    let calls = partition.calls().iter();
    items.extend(
        calls
            .zip(names.iter().skip(items.len()))
            .map(|(call, name)| format!("{} AS {name}", call.render(&by, print))),
    );

    let mut from = format!(
        "(\n{}\n) AS d",
        join::state(context, &node.block, &block_name)
    );
    let mut conditions = Vec::new();
    if let Rows::Touched(null_keys) = rows
        && !node.is_global()
    {
        from = format!("{TOUCHED} AS t, {from}");
        for (position, column) in node.keys.iter().enumerate() {
            let name = key(position);
            conditions.push(if null_keys.get(position).copied().unwrap_or(false) {
                format!("d.{name} IS NULL")
            } else {
                format!("d.{name} {} t.{name}", column.ty.equality)
            });
        }
    }
    let mut end = String::new();
    let mut kept = String::new();
    if let Partition::TopN {
        order,
        offset,
        limit,
        with_ties,
    } = partition
    {
        let order: Vec<String> = order.iter().map(|key| key.render(print)).collect();
        let order = if order.is_empty() {
            String::new()
        } else {
            format!("ORDER BY {}", order.join(", "))
        };
        match limit {
            Some(limit) if node.is_global() && !with_ties => {
                end = format!("\n{order}\nLIMIT {limit} OFFSET {offset}");
            }
            _ => {
                let over = if by.is_empty() {
                    order
                } else {
                    format!("PARTITION BY {} {order}", by.join(", "))
                };
                items.push(format!("row_number() OVER ({over}) AS nth"));
                kept = format!("g.nth > {offset}");
                if let Some(limit) = limit {
                    let last = if *with_ties { "nth_peer" } else { "nth" };
                    if *with_ties {
                        items.push(format!("rank() OVER ({over}) AS nth_peer"));
                    }
                    kept.push_str(&format!(
                        " AND g.{last} <= {}",
                        offset.saturating_add(*limit)
                    ));
                }
            }
        }
    }
    if items.is_empty() {
        items.push("1 AS one".into());
    }
    let mut sql = format!("SELECT {}\nFROM {from}", items.join(", "));
    join::push_where(&mut sql, &conditions);
    sql.push_str(&end);
    if kept.is_empty() {
        format!("({sql}) AS g")
    } else {
        format!("(SELECT * FROM ({sql}) AS g WHERE {kept}) AS g")
    }
}

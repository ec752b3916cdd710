//! The statements of a grouping node.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use crate::canary;
use crate::operators::block_columns::{block_name, names_under};
use crate::operators::join;
use crate::operators::statement::{BlockDelta, Context, Emit, push_where};
use crate::operators::{stored, touched};
use crate::plan::{Maintenance, Node, Source};
use crate::sql::names::{GROUPS, WEIGHT, accumulator, key};
use crate::sql::render_over;
use crate::tree::{ColumnId, Expr};

/// Where things stand in a row of [`combine`]. [`recompute`] has `ord int` first, and neither
/// `recompute` nor the old row.
///
/// `combine`: `recompute bool, present bool, state…, [old_keep bool, old outputs…,] new_keep bool,
/// new outputs…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CombineLayout {
    /// First state column: keys, row count (unless recomputed always), accumulators.
    pub state: usize,
    /// Number of state columns.
    pub state_len: usize,
    /// Column that says whether there was an output row; its columns follow.
    pub old_keep: Option<usize>,
    /// Column that says whether there is an output row now; its columns follow.
    pub new_keep: usize,
    /// Number of output columns.
    pub outputs: usize,
}

impl CombineLayout {
    /// Layout of [`combine`]'s rows.
    pub fn of_combine(node: &Node, emit: &Emit<'_>) -> Self {
        let state_len = stored::names(node).len();
        let outputs = emit.exprs.len();
        let old_keep = emit.with_old.then_some(2 + state_len);
        Self {
            state: 2,
            state_len,
            old_keep,
            new_keep: 2 + state_len + if emit.with_old { outputs + 1 } else { 0 },
            outputs,
        }
    }

    /// Layout of [`recompute`]'s rows.
    pub fn of_recompute(node: &Node, emit: &Emit<'_>) -> Self {
        let state_len = stored::names(node).len();
        Self {
            state: 1,
            state_len,
            old_keep: None,
            new_keep: 1 + state_len,
            outputs: emit.exprs.len(),
        }
    }
}

/// Per touched group its key, the change of its row count (`d`), of each accumulator (`d0`…), and
/// the extremum of removed values (`r0`…). For nodes that recompute always: the keys.
pub fn delta(context: Context<'_>, node: &Node, changed: &BTreeSet<Source>) -> BlockDelta {
    let name = block_name(node);
    let mut delta = join::differentiate(context, &node.block, changed, &name);
    delta.terms = delta.terms.map(|terms| {
        let printed = names_under(node, "d", &block_name(node));
        let print = |expr: &Expr| render_over(expr, &printed);
        let weight = format!("d.{WEIGHT}");
        let mut items: Vec<String> = (0..node.keys.len())
            .map(|k| format!("d.{}", key(k)))
            .collect();
        if let Maintenance::Accumulate { accumulators, .. } = &node.maintenance {
            items.push(format!("sum({weight})::bigint AS d"));
            for (position, accumulator) in accumulators.iter().enumerate() {
                items.push(format!(
                    "{} AS d{position}",
                    accumulator.delta_sql(&weight, &print)
                ));
                if let Some(removed) = accumulator.removed_sql(&weight, &print) {
                    items.push(format!("{removed} AS r{position}"));
                }
            }
        } else if items.is_empty() {
            items.push("count(*) AS d".into());
        }
        // Without keys there would be a row even if no change passes the block's conditions.
        let touched = if node.is_global() {
            "\nHAVING count(*) > 0".to_owned()
        } else {
            group_by(node)
        };
        let mut sql = format!("SELECT {}\nFROM (\n{terms}\n) AS d", items.join(", "));
        if canary::active(canary::DROPPED_NULL_GROUP) {
            let known: Vec<String> = (0..node.keys.len())
                .map(|k| format!("d.{} IS NOT NULL", key(k)))
                .collect();
            push_where(&mut sql, &known);
        }
        if canary::active(canary::LEFT_PARTITION_STAYS) && node.partition().is_some() {
            push_where(&mut sql, &[format!("{weight} > 0")]);
        }
        sql + &touched
    });
    delta
}

fn group_by(node: &Node) -> String {
    if node.keys.is_empty() {
        return String::new();
    }
    let keys: Vec<String> = (0..node.keys.len())
        .map(|k| format!("d.{}", key(k)))
        .collect();
    format!("\nGROUP BY {}", keys.join(", "))
}

/// State expressions over the whole or a part of the block (alias `d`, weights 1), with names.
fn state_exprs(node: &Node) -> Vec<String> {
    let printed = names_under(node, "d", &block_name(node));
    let print = |expr: &Expr| render_over(expr, &printed);
    let mut items: Vec<String> = (0..node.keys.len())
        .map(|k| format!("d.{0} AS {0}", key(k)))
        .collect();
    match &node.maintenance {
        Maintenance::Accumulate { accumulators, .. } => {
            items.push("count(*) AS n".into());
            items.extend(accumulators.iter().enumerate().map(|(position, a)| {
                format!("{} AS {}", a.whole_sql(&print), accumulator(position))
            }));
        }
        Maintenance::Recompute | Maintenance::Partition(_) | Maintenance::Rows => {
            items.extend(
                node.aggregates.iter().enumerate().map(|(position, a)| {
                    format!("{} AS {}", print(&a.call), accumulator(position))
                }),
            );
        }
    }
    items
}

/// The state of every group, from nothing.
pub fn initial(context: Context<'_>, node: &Node) -> String {
    let name = block_name(node);
    format!(
        "SELECT {}\nFROM (\n{}\n) AS d{}",
        state_exprs(node).join(", "),
        join::state(context, &node.block, &name),
        group_by(node)
    )
}

/// From each touched group's delta and old state (ephemeral relation [`GROUPS`]: the columns of
/// [`delta`], `found bool`, the state columns with `o_` in front) to its new state and output.
pub fn combine(node: &Node, emit: &Emit<'_>) -> String {
    let states = stored::names(node);
    let mut sql = String::with_capacity(1024);
    sql.push_str("SELECT recompute, present");
    for name in &states {
        let _ = write!(sql, ", {name}");
    }
    if emit.with_old {
        push_outputs(&mut sql, node, emit, "old_keep", "o_", "of");
    }
    push_outputs(&mut sql, node, emit, "new_keep", "", "f");
    sql.push_str("\nFROM (SELECT *");
    // Without aggregates a row that was and is there has not changed.
    let (state, recompute) = new_state(node);
    let (mut was, mut is) = match recompute.as_str() {
        NEVER => ("found", "present"),
        _ => ("found", "present AND NOT recompute"),
    };
    if emit.with_old && node.aggregates.is_empty() && !node.may_recompute() {
        (was, is) = ("found AND NOT present", "present AND NOT found");
    }
    if emit.with_old {
        let condition = having(node, emit, "o_", "of");
        push_keep(&mut sql, was, &condition, "old_keep");
    }
    push_keep(&mut sql, is, &having(node, emit, "", "f"), "new_keep");
    sql.push_str("\nFROM (SELECT *");
    for (position, text) in stored::finals(node, "").into_iter().enumerate() {
        let _ = write!(sql, ", {text} AS f{position}");
    }
    if emit.with_old {
        for (position, text) in stored::finals(node, "o_").into_iter().enumerate() {
            let _ = write!(sql, ", {text} AS of{position}");
        }
    }
    if node.is_global() || canary::active(canary::GROUP_NEVER_DIES) {
        sql.push_str(", true AS present");
    } else if matches!(node.maintenance, Maintenance::Accumulate { .. }) {
        sql.push_str(", n > 0 AS present");
    } else {
        sql.push_str(", false AS present");
    }
    sql.push_str("\nFROM (SELECT *");
    let _ = write!(sql, "{state}, {recompute} AS recompute");
    // What is read several times is computed once: the planner would put it in each place.
    let _ = write!(sql, "\nFROM {GROUPS}\nOFFSET 0) AS g) AS g) AS g");
    sql
}

/// The flag that says of a row, there if `exists`, whether it passes the condition.
fn push_keep(sql: &mut String, exists: &str, condition: &str, name: &str) {
    let _ = match condition {
        "true" => write!(sql, ", {exists} AS {name}"),
        _ => write!(
            sql,
            ", CASE WHEN {exists} THEN {condition} ELSE false END AS {name}"
        ),
    };
}

/// The condition that no group meets.
const NEVER: &str = "false";

/// The new state's columns, and the condition under which the group must be recomputed.
fn new_state(node: &Node) -> (String, String) {
    let mut sql = String::new();
    let Maintenance::Accumulate { accumulators, .. } = &node.maintenance else {
        for position in 0..node.aggregates.len() {
            let _ = write!(sql, ", o_{0} AS {0}", accumulator(position));
        }
        return (sql, "true".into());
    };
    sql.push_str(", coalesce(o_n, 0) + d AS n");
    let mut conditions: Vec<String> = Vec::new();
    for (position, accumulator) in accumulators.iter().enumerate() {
        let (old, delta, removed) = (
            format!("o_a{position}"),
            format!("d{position}"),
            format!("r{position}"),
        );
        let _ = write!(
            sql,
            ", {} AS a{position}",
            accumulator.combined_sql(&old, &delta)
        );
        let old = match accumulator {
            crate::plan::Accumulator::Extremum { .. } => old,
            _ => format!("coalesce({old}, 0)"),
        };
        conditions.extend(
            accumulator
                .recompute_condition(&old, &delta, &removed)
                .map(|c| format!("coalesce({c}, false)")),
        );
    }
    let recompute = if conditions.is_empty() {
        NEVER.into()
    } else {
        // A group that ends needs nothing; a node without keys lives on when it is empty, and its
        // extremum must become NULL.
        let lives = if node.is_global() {
            ""
        } else {
            "coalesce(o_n, 0) + d > 0 AND "
        };
        format!("({lives}({}))", conditions.join(" OR "))
    };
    (sql, recompute)
}

/// How the node's columns print: keys with `key_prefix`, results as `f0`… with `final_prefix`.
fn node_names(node: &Node, key_prefix: &str, final_prefix: &str) -> HashMap<ColumnId, String> {
    let keys = node
        .keys
        .iter()
        .enumerate()
        .map(|(position, k)| (k.id, format!("{key_prefix}{}", key(position))));
    let results = node
        .aggregates
        .iter()
        .enumerate()
        .map(|(position, a)| (a.column.id, format!("{final_prefix}{position}")));
    keys.chain(results).collect()
}

fn having(node: &Node, emit: &Emit<'_>, key_prefix: &str, final_prefix: &str) -> String {
    if emit.predicates.is_empty() {
        return "true".into();
    }
    let printed = node_names(node, key_prefix, final_prefix);
    let conditions: Vec<String> = emit
        .predicates
        .iter()
        .map(|p| format!("({})", render_over(&p.expr, &printed)))
        .collect();
    format!("coalesce({}, false)", conditions.join(" AND "))
}

/// The keep flag and the output columns. Bare columns are always there, and the keys among them find a row
/// that goes; anything else is only computed for rows that stay.
fn push_outputs(
    sql: &mut String,
    node: &Node,
    emit: &Emit<'_>,
    keep: &str,
    key_prefix: &str,
    final_prefix: &str,
) {
    let _ = write!(sql, ", {keep}");
    let printed = node_names(node, key_prefix, final_prefix);
    for expr in emit.exprs.iter() {
        let text = render_over(expr, &printed);
        if expr.as_column().is_some() {
            let _ = write!(sql, ", {text}");
        } else {
            let _ = write!(sql, ", CASE WHEN {keep} THEN {text} END");
        }
    }
}

/// Computes the groups of the ephemeral relation [`TOUCHED`] (`ord int`, keys) again. A bit of
/// `null_keys` says that this key is NULL in every one of them, so that the others can use indexes.
pub fn recompute(context: Context<'_>, node: &Node, emit: &Emit<'_>, null_keys: &[bool]) -> String {
    let states = stored::names(node);
    let mut sql = String::from("SELECT ord");
    for name in &states {
        let _ = write!(sql, ", {name}");
    }
    push_outputs(&mut sql, node, emit, "new_keep", "", "f");
    let _ = write!(
        sql,
        "\nFROM (SELECT *, {} AS new_keep",
        having(node, emit, "", "f")
    );
    sql.push_str("\nFROM (SELECT *");
    for (position, text) in stored::finals(node, "").into_iter().enumerate() {
        let _ = write!(sql, ", {text} AS f{position}");
    }
    let name = block_name(node);
    let (ord, from, conditions) = if node.is_global() {
        let state = join::state(context, &node.block, &name);
        ("0".to_owned(), format!("(\n{state}\n) AS d"), Vec::new())
    } else {
        let rows = touched::rows(context, node, null_keys, &name);
        (format!("min({})", rows.ord), rows.from, rows.conditions)
    };
    let _ = write!(
        sql,
        "\nFROM (SELECT {ord} AS ord, {}\nFROM {from}",
        state_exprs(node).join(", ")
    );
    push_where(&mut sql, &conditions);
    let _ = write!(sql, "{}) AS g) AS g) AS g", group_by(node));
    sql
}

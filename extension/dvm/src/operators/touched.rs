//! The rows of a block for the keys of groups or partitions to be recomputed.
//!
//! `(block) AS d` joined to the keys is enough if the planner merges the block into the statement. It does not do so
//! with a union of joins or a join of many relations: there each branch is joined to the keys.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::operators::term::{FromClause, PLANNED_FREELY, Role, reads_present};
use crate::plan::{Block, Branch, Node};
use crate::sql::names::{TOUCHED, WEIGHT, key};
use crate::sql::render_over;
use crate::tree::{ColumnId, Expr};

use super::join;
use crate::operators::statement::Context;

/// What stands in FROM for the rows (alias `d`), the conditions that go with it, and how a group's number prints.
pub(super) struct Rows {
    /// The items.
    pub from: String,
    /// Conditions for WHERE.
    pub conditions: Vec<String>,
    /// The number of the group.
    pub ord: &'static str,
}

/// The rows for the keys in [`TOUCHED`] (`ord int`, keys). A flag says that this key is NULL in every one of them, so
/// that the others can use indexes.
pub(super) fn rows(
    context: Context<'_>,
    node: &Node,
    null_keys: &[bool],
    name: &dyn Fn(usize) -> String,
) -> Rows {
    if let Some(terms) = unmerged(context, node, null_keys, name) {
        return Rows {
            from: format!("(\n{terms}\n) AS d"),
            conditions: Vec::new(),
            ord: "d.ord",
        };
    }
    let state = join::state(context, &node.block, name);
    let value = |position| format!("d.{}", key(position));
    Rows {
        from: format!("{TOUCHED} AS t, (\n{state}\n) AS d"),
        conditions: conditions(node, null_keys, value, "t"),
        ord: "t.ord",
    }
}

/// The rows for the keys, each beside the number `ord` of its key, where the planner would not merge the block.
pub(super) fn unmerged(
    context: Context<'_>,
    node: &Node,
    null_keys: &[bool],
    name: &dyn Fn(usize) -> String,
) -> Option<String> {
    if is_merged(&node.block) {
        return None;
    }
    let branches = node.block.branches.iter();
    let terms: Vec<String> = branches
        .map(|branch| term(context, node, branch, null_keys, name))
        .collect();
    Some(terms.join("\nUNION ALL\n"))
}

/// Whether the planner merges the block into a statement that reads one more relation.
fn is_merged(block: &Block) -> bool {
    match block.branches.as_slice() {
        [only] => only.scans.len() < PLANNED_FREELY,
        several => several.iter().all(|branch| branch.scans.len() <= 1),
    }
}

/// Conditions that the values of the keys are those of the item with this alias.
pub(super) fn conditions(
    node: &Node,
    null_keys: &[bool],
    value: impl Fn(usize) -> String,
    alias: &str,
) -> Vec<String> {
    let keys = node.keys.iter().enumerate();
    keys.map(|(position, column)| {
        let value = value(position);
        match null_keys.get(position) {
            Some(true) => format!("{value} IS NOT DISTINCT FROM NULL"),
            _ => format!("{value} {} {alias}.{}", column.ty.equality, key(position)),
        }
    })
    .collect()
}

/// The rows of a branch beside the number of their group.
fn term(
    context: Context<'_>,
    node: &Node,
    branch: &Branch,
    null_keys: &[bool],
    name: &dyn Fn(usize) -> String,
) -> String {
    let mut from = FromClause::new(context.stored());
    let link = ColumnId(u32::MAX);
    from.add_prefix(TOUCHED, [(link, String::new())].into_iter().collect());
    for (position, factor) in branch.scans.iter().enumerate() {
        from.add(factor, Role::State, position, reads_present(branch, factor));
    }
    from.add_conditions(&branch.predicates);
    let values: Vec<(String, &Expr)> = (branch.outputs.iter())
        .map(|expr| (render_over(expr, &from.printed), expr))
        .collect();
    let of_keys = conditions(
        node,
        null_keys,
        |position| {
            values
                .get(position)
                .map_or_else(String::new, |(text, _)| format!("({text})"))
        },
        "p",
    );
    for (position, (text, (_, expr))) in of_keys.into_iter().zip(&values).enumerate() {
        let is_equality = !null_keys.get(position).copied().unwrap_or(false);
        let mut columns = expr.columns();
        columns.insert(link);
        let not_null: BTreeSet<ColumnId> = expr
            .as_column()
            .into_iter()
            .filter(|_| is_equality)
            .collect();
        from.add_link(text, columns, not_null);
    }
    let mut sql = String::from("SELECT p.ord");
    for (position, (text, _)) in values.iter().enumerate() {
        let _ = write!(sql, ", {text} AS {}", name(position));
    }
    let _ = write!(sql, ", 1 AS {WEIGHT}");
    from.write(&mut sql, PLANNED_FREELY);
    sql
}

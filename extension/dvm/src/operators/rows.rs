//! The rows of a linear block, kept: what several branches read is computed once.
//!
//! ```text
//! S = B        ΔS = ΔB
//! ```
//! Joins distribute over bag unions, so that a join of unions has as many branches as the product of theirs, and a
//! subquery that is read k times is computed k times. A node of its own makes one branch of it, and one delta.
//!
//! State: every row of the block, found by its image. Cost: that of ΔB, and a look-up and a write per changed row.

use std::collections::BTreeSet;

use crate::plan::{Node, Source};
use crate::sql::names::{column, key};

use super::join;
use crate::operators::statement::{BlockDelta, Context};

/// The changed rows `c0`… with their weights.
pub fn delta(context: Context<'_>, node: &Node, changed: &BTreeSet<Source>) -> BlockDelta {
    join::differentiate(context, &node.block, changed, &column)
}

/// The whole state, from nothing.
pub fn initial(context: Context<'_>, node: &Node) -> String {
    let names: Vec<String> = (0..node.keys.len()).map(key).collect();
    let items = match names.is_empty() {
        true => "1 AS one".to_owned(),
        false => names.join(", "),
    };
    format!(
        "SELECT {items}\nFROM (\n{}\n) AS d",
        join::state(context, &node.block, &key)
    )
}

//! The stored rows of a linear block: what several branches read is computed once.
//!
//! ```text
//! S = B        ΔS = ΔB
//! ```
//! Joins distribute over bag unions, so the branches of a join of unions multiply, and a
//! subquery that is read k times is computed k times. A separate node makes it one branch with one delta.
//!
//! State: every row of the block, indexed by its image. Cost: that of ΔB, and a look-up and a write per changed row.

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

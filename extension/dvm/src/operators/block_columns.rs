//! Names of the columns of a node's block: its keys first, then the other columns read.

use std::collections::HashMap;

use crate::plan::Node;
use crate::sql::names::{input, key};
use crate::tree::ColumnId;

/// The name of a column of the block: the keys, then the others.
pub(super) fn block_name(node: &Node) -> impl Fn(usize) -> String {
    let keys = node.keys.len();
    move |position| match position.checked_sub(keys) {
        None => key(position),
        Some(rest) => input(rest),
    }
}

/// How the block's columns print under an alias.
pub(super) fn names_under(
    node: &Node,
    alias: &str,
    name: &dyn Fn(usize) -> String,
) -> HashMap<ColumnId, String> {
    let columns = node.block.columns.iter().enumerate();
    columns
        .map(|(position, c)| (c.id, format!("{alias}.{}", name(position))))
        .collect()
}

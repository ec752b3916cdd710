//! Names of ephemeral relations and of their columns.

use crate::plan::Source;

/// Column with the weight of a delta row.
pub const WEIGHT: &str = "__pgt_w";

/// Column that says of a row of an outer join's null-supplying side that it is there.
pub const PRESENT: &str = "__pgt_present";

/// Ephemeral relation with the touched groups' deltas beside their old state.
pub const GROUPS: &str = "__pgt_groups";

/// Ephemeral relation with the keys of groups to compute again.
pub const TOUCHED: &str = "__pgt_touched";

/// Ephemeral relation with the changed rows of a window's input.
pub const CHANGED: &str = "__pgt_changed";

/// Ephemeral relation with the intervals of a window's order that changes reach.
pub const REGIONS: &str = "__pgt_regions";

/// Ephemeral relation with the input rows in these.
pub const ROWS: &str = "__pgt_rows";

/// A row of a table's delta, where a condition of policies looks at it.
pub const CHANGED_ROW: &str = "d";

/// Ephemeral relation with a source's delta.
pub fn delta(source: Source) -> String {
    match source {
        Source::Table(oid) => format!("__pgt_delta_{oid}"),
        Source::Node(node) => format!("__pgt_delta_node{node}"),
        Source::Image(image) => format!("__pgt_delta_image{image}"),
    }
}

/// Ephemeral relation with the delta of a join's prefix.
pub fn prefix(branch: usize, step: usize) -> String {
    format!("__pgt_prefix_{branch}_{step}")
}

/// Column of a table's delta, by attribute number. Those of system columns are negative.
pub fn attribute(attnum: i16) -> String {
    match attnum {
        0.. => format!("a{attnum}"),
        _ => format!("s{}", attnum.unsigned_abs()),
    }
}

/// The attribute number in the name of such a column.
pub fn attnum(name: &str) -> Option<i16> {
    match name.strip_prefix('s') {
        Some(number) => number.parse::<i16>().ok().map(|number| -number),
        None => name.strip_prefix('a')?.parse().ok(),
    }
}

/// Column of a node's delta, by position.
pub fn column(position: usize) -> String {
    format!("c{position}")
}

/// Group key of a state table, by position.
pub fn key(position: usize) -> String {
    format!("k{position}")
}

/// Column that an aggregate reads, by position.
pub fn input(position: usize) -> String {
    format!("x{position}")
}

/// Accumulator of a state table, by position.
pub fn accumulator(position: usize) -> String {
    format!("a{position}")
}

/// The state table of a node.
pub fn state_table(state_prefix: &str, node: usize) -> String {
    format!("{state_prefix}{node}")
}

/// The table with the rows of an image.
pub fn image_table(state_prefix: &str, image: usize) -> String {
    format!("{state_prefix}i{image}")
}

//! Rules that bring an operator tree into the form that the planner takes, one per file. A rule is
//! a pure function from tree to tree; [`normalise`] owns their order.

mod columns;
mod distinct_aggregate;
mod matches;

pub use columns::ColumnAllocator;
pub use matches::{Matches, matches};

use crate::tree::Relation;

/// Applies every rule, bottom-up.
pub fn normalise(relation: Relation, columns: &mut ColumnAllocator) -> Relation {
    let relation = relation.map_inputs(&mut |input| normalise(input, columns));
    distinct_aggregate::unnest(relation, columns)
}

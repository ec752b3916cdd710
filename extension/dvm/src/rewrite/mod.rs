//! Rules that normalise an operator tree for [`crate::plan`], one per file. A rule is
//! a pure function from tree to tree; [`normalise`] applies them in order.

mod columns;
mod distinct_aggregate;
mod domain;
mod full_join;
mod matches;
mod unnest;

pub use columns::ColumnAllocator;
pub use matches::{Matches, matches};

use crate::tree::Relation;

/// Applies every rule: first those that unnest correlated subqueries, then the rest, bottom-up.
///
/// # Errors
/// [`crate::Error::CannotUnnest`] for a subquery that no join can take the place of.
pub fn normalise(
    relation: Relation,
    columns: &mut ColumnAllocator,
) -> Result<Relation, crate::Error> {
    let relation = unnest::unnest(relation, columns)?;
    Ok(without_distinct(relation, columns))
}

fn without_distinct(relation: Relation, columns: &mut ColumnAllocator) -> Relation {
    let relation = relation.map_inputs(&mut |input| without_distinct(input, columns));
    distinct_aggregate::unnest(relation, columns)
}

//! The columns that a grouping has for the expressions above it.

use std::collections::HashMap;

use pgtrickle_dvm::tree::ColumnId;

use crate::pg::levels;
use crate::pg::node::Node;

/// What a grouping offers to the expressions above it.
#[derive(Default)]
pub(super) struct Grouping {
    /// Flattened expressions and the columns that carry their values.
    pub known: Vec<(Node, ColumnId)>,
    /// The columns of the keys, by what GROUP BY calls them.
    pub keys: Vec<(u32, ColumnId)>,
}

impl Grouping {
    /// The column that carries the value of a flattened expression, which stands inside of that many
    /// subqueries.
    pub fn find(&self, expr: Node, level: u32) -> Option<ColumnId> {
        self.known
            .iter()
            .find(|(known, _)| match level {
                0 => known.same_as(expr),
                _ => {
                    known.tag() == expr.tag()
                        && levels::shift_levels(*known, level as i32).same_as(expr)
                }
            })
            .map(|(_, id)| *id)
    }

    /// The column of the key with this reference. An output column that GROUP BY refers to shows that key,
    /// even where another one has the same expression and other grouping sets.
    pub fn key(&self, reference: u32) -> Option<ColumnId> {
        let mut keys = self.keys.iter();
        keys.find(|(r, _)| *r == reference).map(|(_, id)| *id)
    }

    /// Says which column carries the value of a flattened expression.
    pub fn add(&mut self, expr: Node, id: ColumnId) {
        self.known.push((expr, id));
    }

    /// The same values in other columns.
    pub fn renamed(&mut self, names: &HashMap<ColumnId, ColumnId>) {
        let keys = self.keys.iter_mut().map(|(_, id)| id);
        for id in self.known.iter_mut().map(|(_, id)| id).chain(keys) {
            if let Some(new) = names.get(id) {
                *id = *new;
            }
        }
    }
}

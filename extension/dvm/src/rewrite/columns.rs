//! Fresh column identities for rewrite rules.

use std::collections::HashMap;

use crate::tree::{Column, ColumnId, ColumnType, Relation};

/// Hands out column identities that a tree does not use yet.
#[derive(Debug)]
pub struct ColumnAllocator {
    next: u32,
}

impl ColumnAllocator {
    /// An allocator for columns beyond every one in `relation`.
    pub fn above(relation: &Relation) -> Self {
        Self {
            next: highest(relation) + 1,
        }
    }

    /// A new boolean column that is never NULL.
    pub fn truth(&mut self, name: &str) -> Column {
        self.column(name, ColumnType::boolean(), false)
    }

    /// The tree with an identity of its own for every column that it defines, and the new identities.
    pub fn relabel(&mut self, relation: Relation) -> (Relation, HashMap<ColumnId, ColumnId>) {
        let names: HashMap<ColumnId, ColumnId> = relation
            .made_columns()
            .into_iter()
            .map(|id| {
                let new = ColumnId(self.next);
                self.next += 1;
                (id, new)
            })
            .collect();
        (relation.relabelled(&names), names)
    }

    /// A new column.
    pub fn column(&mut self, name: impl Into<String>, ty: ColumnType, nullable: bool) -> Column {
        let id = ColumnId(self.next);
        self.next += 1;
        Column {
            id,
            name: name.into(),
            ty,
            nullable,
        }
    }
}

fn highest(relation: &Relation) -> u32 {
    let made = relation.made_columns();
    made.iter().map(|id| id.0).max().unwrap_or(0)
}

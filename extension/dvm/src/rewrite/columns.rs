//! Fresh column identities for rewrite rules.

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
    let own = relation.columns().iter().map(|c| c.id.0).max();
    relation
        .inputs()
        .into_iter()
        .map(highest)
        .chain(own)
        .max()
        .unwrap_or(0)
}

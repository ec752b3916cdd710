//! What an entry of the range table offers to its level.

use std::collections::BTreeMap;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, ColumnId, Predicate, Scan};

use super::derived::Derived;
use crate::pg::from_item::ItemColumn;
use crate::pg::node::NodeOf;

/// An entry of the range table.
pub(super) enum Range {
    /// A table.
    Table {
        /// The scan.
        scan: Scan,
        /// Its columns by attribute number.
        columns: BTreeMap<i16, ColumnId>,
        /// Whether the rows are those of the table alone: of others the captured changes tell, too.
        only: Option<Box<Predicate>>,
    },
    /// A subquery, view or CTE reference.
    Derived(Derived),
    /// Rows computed from those of its neighbours.
    Computed(Computed),
    /// A join or grouping entry, or something refused.
    Other,
}

impl Range {
    /// The column with this attribute number.
    pub fn column(&self, attnum: i16) -> Option<ColumnId> {
        match self {
            Range::Table { columns, .. } => columns.get(&attnum).copied(),
            Range::Derived(derived) => {
                let position = usize::try_from(attnum).ok()?.checked_sub(1)?;
                derived.columns.get(position).copied().flatten()
            }
            Range::Computed(computed) => computed.ids.get(&attnum).copied(),
            Range::Other => None,
        }
    }

    /// All columns.
    pub fn columns(&self) -> Vec<ColumnId> {
        match self {
            Range::Table { columns, .. } => columns.values().copied().collect(),
            Range::Derived(derived) => derived.columns.iter().copied().flatten().collect(),
            Range::Computed(computed) => computed.ids.values().copied().collect(),
            Range::Other => Vec::new(),
        }
    }
}

/// A computed item of FROM.
pub(super) struct Computed {
    /// The item.
    pub entry: NodeOf<pg_sys::RangeTblEntry>,
    /// What is read of it.
    pub read: Vec<ItemColumn>,
    /// The columns that are read.
    pub columns: Vec<Column>,
    /// The same by attribute number.
    pub ids: BTreeMap<i16, ColumnId>,
    /// Positions in `columns` that distinguish the rows of one row of its neighbours.
    pub key: Option<Vec<usize>>,
}

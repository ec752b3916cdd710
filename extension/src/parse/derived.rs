//! A query level as its reader sees it.

use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, ColumnId, Relation};

/// Under whose rights a query level reads.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// Whether the level belongs to a view that the query names.
    pub through_view: bool,
    /// Roles whose row security applies.
    pub roles: Vec<pg_sys::Oid>,
}

/// An analysed query level.
#[derive(Debug)]
pub(super) struct Derived {
    /// The tree.
    pub relation: Relation,
    /// Its columns by position; `None` for those that are not needed.
    pub columns: Vec<Option<ColumnId>>,
    /// Whether the query says ORDER BY.
    pub ordered: bool,
}

/// The output columns of a query that are read.
#[derive(Debug, Clone)]
pub(super) enum Needed {
    /// All of them.
    All,
    /// Those at these positions (from 1).
    Only(BTreeSet<i16>),
}

impl Needed {
    /// Whether the column at this position (from 1) is read.
    pub fn contains(&self, position: i16) -> bool {
        match self {
            Needed::All => true,
            Needed::Only(positions) => positions.contains(&position),
        }
    }
}

/// A recursion whose parts are being analysed.
#[derive(Debug, Clone)]
pub(super) struct OpenRecursion {
    /// Its name.
    pub name: String,
    /// By which its rows are known.
    pub text: String,
    /// Its columns.
    pub columns: Vec<Column>,
}

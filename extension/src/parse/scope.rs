//! A query level with its inputs, and the columns of outer levels that it can see.

use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, ColumnId};

use super::derived::Access;
use super::group_columns::Grouping;
use super::input::Range;
use crate::pg::node::{Node, NodeOf};
use crate::pg::whole_row::MARK;

/// One query level with its inputs analysed.
pub(super) struct Level<'a> {
    /// The query.
    pub query: NodeOf<pg_sys::Query>,
    /// The level around it.
    pub parent: Option<&'a Scope<'a>>,
    /// Under whose rights it reads.
    pub access: Access,
    /// Its inputs, by range table index.
    pub ranges: Vec<Input>,
    /// Their names.
    pub names: Vec<String>,
}

/// A range table entry and the columns it reads laterally (its own may be among them).
pub(super) struct Input {
    /// What it offers.
    pub range: Range,
    /// What it reads.
    pub reads: BTreeSet<ColumnId>,
    /// The mark that is true in each row, where it is read.
    pub mark: Option<Column>,
}

impl<'a> Level<'a> {
    /// The column that a Var means.
    pub fn column(&self, varno: i32, attnum: i16) -> Option<ColumnId> {
        let input = self.input(varno)?;
        match &input.mark {
            Some(mark) if attnum == MARK => Some(mark.id),
            _ => input.range.column(attnum),
        }
    }

    /// The mark of a range table entry.
    pub fn mark(&self, varno: i32) -> Option<&Column> {
        self.input(varno)?.mark.as_ref()
    }

    fn input(&self, varno: i32) -> Option<&Input> {
        self.ranges
            .get(usize::try_from(varno).ok()?.checked_sub(1)?)
    }

    /// A range table entry, and the columns around it that it reads.
    pub fn range(&self, varno: i32) -> Option<(&Range, &BTreeSet<ColumnId>)> {
        self.input(varno).map(|input| (&input.range, &input.reads))
    }

    /// Whether an input says ORDER BY.
    pub fn has_ordered_input(&self) -> bool {
        self.ranges
            .iter()
            .any(|input| matches!(&input.range, Range::Derived(derived) if derived.ordered))
    }

    /// Whether a range table entry has columns at all.
    pub fn is_readable(&self, varno: i32) -> bool {
        self.input(varno)
            .is_some_and(|input| !matches!(input.range, Range::Other))
    }

    /// The name of a range table entry, for messages.
    pub fn name_of(&self, varno: i32) -> &str {
        usize::try_from(varno)
            .ok()
            .and_then(|n| self.names.get(n.checked_sub(1)?))
            .map_or("", String::as_str)
    }
}

/// A query level as seen from the levels inside it.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The query.
    pub query: NodeOf<pg_sys::Query>,
    /// The level around it.
    pub parent: Option<&'a Scope<'a>>,
    /// Its columns, for those inside that may read them.
    pub offered: Option<Offered<'a>>,
}

/// The columns of a level at the place of a subquery.
#[derive(Clone, Copy)]
pub(super) struct Offered<'a> {
    /// The level.
    pub level: &'a Level<'a>,
    /// Its grouping, when the subquery stands above it.
    pub grouping: Option<&'a Grouping>,
}

impl<'a> Scope<'a> {
    /// The scopes from this one outwards, each with its distance from the level inside this one.
    fn outwards(&'a self) -> impl Iterator<Item = (u32, &'a Scope<'a>)> {
        (1..).zip(std::iter::successors(Some(self), |scope| scope.parent))
    }

    /// What stands at this distance.
    pub fn offered_at(&'a self, distance: u32) -> Option<Offered<'a>> {
        self.outwards()
            .find(|(at, _)| *at == distance)
            .and_then(|(_, scope)| scope.offered)
    }

    /// The column of a grouping around that carries the value of a flattened expression.
    pub fn grouped(&'a self, expr: Node) -> Option<ColumnId> {
        self.outwards()
            .find_map(|(distance, scope)| scope.offered?.grouping?.find(expr, distance))
    }
}

//! What a query level can see of the levels around it.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::ColumnId;

use super::from::Level;
use super::grouping::Grouping;
use crate::pg::node::{Node, NodeOf};

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

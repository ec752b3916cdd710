//! Subqueries that are computed whole, and conditions on the value of one.

use std::collections::BTreeSet;

use super::column::{Column, ColumnId};
use super::expr::Expr;
use super::recursion::Recursion;

/// A subquery that is computed whole: its rows are kept as an image. After a change they are computed
/// again and compared with it, unless the subquery is a recursion that says how its rows follow from each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Opaque {
    /// The query, printed by the server. It reads nothing around it.
    pub query: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The tables whose changes can change its rows.
    pub sources: Vec<OpaqueSource>,
    /// Whether its rows can change without a change of the sources, so that each refresh computes it.
    pub polled: bool,
    /// How its rows follow from each other, for a recursion that is maintained by deltas.
    pub recursion: Option<Box<Recursion>>,
}

/// A table below an opaque subquery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OpaqueSource {
    /// OID of the table.
    pub oid: u32,
    /// Attribute numbers that the subquery reads, rising.
    pub attnums: Vec<i16>,
}

/// A condition on a bound that moves by itself, as a value; or another value that changes with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// A column that says whether it holds; or with the value.
    pub column: Column,
    /// The condition, over columns of rows and of the bound.
    pub expr: Expr,
    /// How rows are found for which it has changed; `None`: each is looked at.
    pub found_by: Option<(Expr, Crossing)>,
    /// The bound: one row with one column.
    pub bound: Opaque,
}

impl Condition {
    /// Its expressions.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let values = self.found_by.iter().map(|(value, _)| value);
        std::iter::once(&self.expr).chain(values)
    }

    /// Its expressions, to be changed.
    pub fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let values = self.found_by.iter_mut().map(|(value, _)| value);
        std::iter::once(&mut self.expr).chain(values)
    }

    /// The columns of rows that it reads.
    pub fn reads(&self) -> BTreeSet<ColumnId> {
        let mut reads = self.expr.columns();
        for column in &self.bound.columns {
            reads.remove(&column.id);
        }
        reads
    }
}

/// For which values a condition changes when its bound moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Crossing {
    /// Those that the bound passed: it holds on this side of it.
    Between(Side),
    /// Those that are equal to the old or the new bound.
    At,
}

/// On which side of a bound values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// `>` or `>=`: a rising bound makes rows leave.
    Above,
    /// `<` or `<=`: a rising bound lets rows in.
    Below,
}

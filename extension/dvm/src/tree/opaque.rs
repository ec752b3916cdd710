//! Subqueries that are computed whole.

use super::column::Column;
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

/// On which side of a bound values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// `>` or `>=`: a rising bound makes rows leave.
    Above,
    /// `<` or `<=`: a rising bound lets rows in.
    Below,
}

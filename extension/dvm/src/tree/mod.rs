//! The operator tree: what a query means, with every name resolved and every expression
//! printed by the server.
//!
//! Invariant: nothing here has been differentiated or planned. A tree is plain data; column
//! identities ([`ColumnId`]) are unique in one tree, so that rules may move expressions freely.

mod aggregate;
mod build;
mod column;
mod expand;
mod expr;
mod opaque;
mod printed;
mod reach;
mod reads;
mod recursion;
mod relabel;
mod relation;
#[cfg(test)]
pub(crate) mod testing;
mod visible;
mod visit;
mod window;

pub use aggregate::{Aggregate, AggregateKind, recomputes_always};
pub use column::{Column, ColumnId, ColumnType};
pub use expr::{Expr, Part, Piece};
pub use opaque::{Condition, Crossing, Opaque, OpaqueSource, Side};
pub use reach::{Ahead, Carry, Comparisons, Reach};
pub use recursion::Recursion;
pub use relation::{ApplyKind, Index, Predicate, Relation, Scan, ScanColumn};
pub use visible::Visible;
pub use window::{SortKey, Ties, WindowCall};

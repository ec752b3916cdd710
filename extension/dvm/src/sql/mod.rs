//! The text of statements: names that the engine chooses, and rendering of expressions over them.
//!
//! Every name made here is a plain identifier of the engine's own; names of the user's objects come
//! quoted by the server in the tree.

pub mod names;
mod order;
pub(crate) mod relation;

pub use order::IN_ORDER;
pub(crate) use relation::{From, PLANNED_FREELY, Stored, reads_present};
pub use relation::{Role, image_table, render_over, state_table};

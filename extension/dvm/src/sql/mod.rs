//! The text of statements: names that the engine chooses, and rendering of expressions over them.
//!
//! Names made here are plain identifiers; the tree has names of the user's objects
//! quoted by the server. Nothing here knows a rule.

pub mod names;
pub(crate) mod printing;
mod query;

pub use names::{image_table, state_table};
pub(crate) use printing::{Printed, render_over};
pub use query::query_text;

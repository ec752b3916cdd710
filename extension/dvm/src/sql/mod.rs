//! The text of statements: names that the engine chooses, and rendering of expressions over them.
//!
//! Every name made here is a plain identifier of the engine's own; names of the user's objects come
//! quoted by the server in the tree. Nothing here knows a rule.

pub mod names;
pub(crate) mod printing;
mod query;

pub use names::{image_table, state_table};
pub(crate) use printing::{Printed, render_over};
pub use query::query_text;

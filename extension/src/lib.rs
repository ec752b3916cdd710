//! pg_trickle: stream tables for PostgreSQL, exact and at a cost in proportion to the change.

::pgrx::pg_module_magic!();

pub mod capability;
pub mod catalog;
pub mod error;
pub mod frontier;
pub mod image;
pub mod parse;
pub mod pg;

// `#[pg_guard]` on foreign functions expects the guard's module at the crate root.
use pgrx::pg_sys::ffi;

//! pg_trickle: stream tables for PostgreSQL, exact and at a cost in proportion to the change.

::pgrx::pg_module_magic!();

pub mod error;

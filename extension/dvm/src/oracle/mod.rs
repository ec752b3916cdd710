//! The engine's truth: whatever the statements of a refresh say must be what the query says.
//!
//! - [`engine`]: where statements run, an in-memory SQLite (or a PostgreSQL server, on demand).
//! - [`truth`]: a tree as one plain query, independent of plans and rules.
//! - [`refresh`], [`node`], [`rows_node`], [`reach_node`], [`recursion`]: a refresh in SQL, as the extension executes it.
//! - [`queries`]: random trees over the [`tables`], and changes of these.
//!
//! Two families of tests: `oracle_*` (the refreshed content is the content computed from nothing) and
//! `differential_*` (two ways to the same result agree).

mod engine;
mod node;
mod partition_node;
mod queries;
mod reach_node;
mod refresh;
mod rows_node;
mod tables;
mod truth;

mod aggregates;
#[cfg(feature = "canary")]
mod canaries;
mod images;
mod joins;
mod outer_joins;
mod partitions;
mod recursion;
mod subqueries;
mod wide;

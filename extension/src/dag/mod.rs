//! The dependency graph of stream tables: who reads whom, in which order they are refreshed, and
//! which belong together.
//!
//! Invariant: the graph is a hint for the scheduler, kept in its memory; what a refresh reads is
//! decided by the catalog. Cycles are refused where a dependency is made.

mod cycles;
mod graph;

pub use cycles::check_for_cycles;
pub use graph::Graph;

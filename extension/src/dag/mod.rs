//! The dependency graph of stream tables: which reads which, in which order they are refreshed, and
//! which form an island.
//!
//! Invariant: the graph is a hint in the scheduler's memory; the catalog decides what a refresh reads.
//! Creating a dependency refuses cycles.

mod cycles;
mod graph;

pub use cycles::check_for_cycles;
pub use graph::Graph;

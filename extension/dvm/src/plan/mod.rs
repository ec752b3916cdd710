//! The normal form of a query: a short pipeline of nodes.
//!
//! A node is a linear block (scan, filter, project, join, union all) with one stateful operator on
//! top; its state table keeps its output between refreshes, so the cost of the next node
//! follows its delta. The [`Output`] is the content of the stream table: a linear block, or the last
//! node's output after a filter and a projection.
//!
//! Invariant: a plan holds everything that determines the layout of state; two plans with the same
//! [`Plan::fingerprint`] can use each other's state.

mod accumulator;
mod agreement;
mod apart;
mod block;
mod branches;
mod compile;
mod explain;
mod fingerprint;
mod image;
mod independence;
mod indexes;
mod keys;
mod locality;
mod maintenance;
mod outer_join;
mod partition;
mod pipeline;
mod placement;
mod reach;
mod reads;
mod rows;
#[cfg(test)]
mod tests;
mod ties;
mod two_steps;
mod width;
mod windows;

pub use accumulator::{Accumulator, Count, Extremum, Final};
pub use block::{Block, BlockScan, Branch, Factor, Matched, Outer, Source};
pub use compile::compile;
pub use image::{Image, Recursion};
pub use independence::Independence;
pub use indexes::MissingIndex;
pub use keys::fits_index;
pub use locality::{Crossing, Spread, spread_of};
pub use maintenance::{Maintenance, Partition};
use pipeline::blocks_of;
pub use pipeline::{Identity, Node, Output, Plan, Store};
pub use reach::Order;
pub use two_steps::{ImageTable, Part, TwoSteps, image_column, two_steps};

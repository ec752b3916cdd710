//! The nodes of a cluster of Citus, as the coordinator sees them.
//!
//! A *spread* stream table is a distributed table beside those that it reads. The coordinator knows its definition,
//! which is nothing but its row of the catalog and its view; the work is done by the nodes that have its shards, each
//! with an ordinary stream table over its own shards for each shard of it. Whether a node has them yet is asked at every
//! refresh and never remembered: a shard that has come to a node, by a move or because it is new, is a plain table
//! there until then.
//!
//! - [`remote`]: how a node is asked, and the one place that quotes what it is told.

mod remote;

pub use remote::{Answer, Argument, call, nodes_of, spread};

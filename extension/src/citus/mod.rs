//! The nodes of a Citus cluster, as the coordinator sees them.
//!
//! A *spread* stream table is a distributed table co-located with its sources. The coordinator has only its definition:
//! a catalog row and a view. The nodes with its shards do the work: each shard is an ordinary stream table
//! over the node's own shards. Every refresh asks a node which of them it has, and nothing remembers the answer: a shard
//! that is new on a node is a plain table there until then.
//!
//! - [`remote`]: calling nodes; [`sessions`]: the sessions in which they run; [`address`]: how Citus connects to a node.

mod address;
mod remote;
mod sessions;

pub use remote::{Answer, Argument, call, nodes_of, spread};

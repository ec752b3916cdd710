//! How the Citus tables of a query are distributed, and where the query is maintained.

use std::collections::BTreeMap;

use pgrx::pg_sys;

use crate::pg::citus::Distribution;

/// Where a query is maintained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this node, with what it has.
    ThisNode,
    /// On each node, with the shards that it has.
    Shards,
    /// Whatever is local to shards on each node, and the rest on this one.
    Both,
}

/// The tables of Citus that a query reads.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    /// Those for which shards of this node stand.
    pub replaced: Vec<pg_sys::Oid>,
    /// How those are spread that the tree reads as tables, by OID.
    pub tables: BTreeMap<u32, Distribution>,
}

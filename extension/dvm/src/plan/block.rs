//! Linear blocks: a bag union of select-project-join branches.
//!
//! Filters, projections, joins and bag unions commute with deltas, so that any nest of them
//! flattens into this one form: `⊎ᵢ π(σ(Sᵢ₁ × … × Sᵢₙ))`.

use std::collections::BTreeSet;

use crate::tree::{Column, ColumnId, Expr, Predicate, Scan};

/// A bag union of branches with the same columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Block {
    /// Output columns.
    pub columns: Vec<Column>,
    /// The branches.
    pub branches: Vec<Branch>,
}

/// One select-project-join.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Branch {
    /// The joined relations, each after those that it reads. Empty for a constant row, which never changes.
    pub scans: Vec<BlockScan>,
    /// Conjuncts over the scans' columns.
    pub predicates: Vec<Predicate>,
    /// One expression per column of the block, over the scans' columns.
    pub outputs: Vec<Expr>,
}

/// A relation in a branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BlockScan {
    /// A table.
    Table(Scan),
    /// The output of an earlier node.
    Node {
        /// Its position in the plan.
        node: usize,
        /// Its columns.
        columns: Vec<Column>,
    },
    /// Rows computed from the rows of earlier scans of the branch. It never changes by itself.
    Expand {
        /// What stands in FROM, over columns of earlier scans.
        item: Expr,
        /// Its columns.
        columns: Vec<Column>,
        /// Positions in `columns` that tell apart the rows of one combination of earlier rows.
        key: Option<Vec<usize>>,
    },
}

/// What a scan reads: a delta is kept per source, not per scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A table, by OID.
    Table(u32),
    /// A node of the plan.
    Node(usize),
}

impl BlockScan {
    /// The source, if it has one of its own.
    pub fn source(&self) -> Option<Source> {
        match self {
            BlockScan::Table(scan) => Some(Source::Table(scan.oid)),
            BlockScan::Node { node, .. } => Some(Source::Node(*node)),
            BlockScan::Expand { .. } => None,
        }
    }

    /// The columns of earlier scans that it reads.
    pub fn reads(&self) -> BTreeSet<ColumnId> {
        match self {
            BlockScan::Table(_) | BlockScan::Node { .. } => BTreeSet::new(),
            BlockScan::Expand { item, .. } => item.columns(),
        }
    }

    /// The identities of its columns.
    pub fn column_ids(&self) -> Vec<ColumnId> {
        match self {
            BlockScan::Table(scan) => scan.columns.iter().map(|c| c.column.id).collect(),
            BlockScan::Node { columns, .. } | BlockScan::Expand { columns, .. } => {
                columns.iter().map(|c| c.id).collect()
            }
        }
    }
}

impl Block {
    /// The sources that the block reads, each once.
    pub fn sources(&self) -> BTreeSet<Source> {
        self.branches
            .iter()
            .flat_map(|branch| branch.scans.iter().filter_map(BlockScan::source))
            .collect()
    }
}

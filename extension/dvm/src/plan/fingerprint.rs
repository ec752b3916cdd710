//! The identity of a plan: what its state depends on, and nothing that a rename changes.

use std::hash::{Hash, Hasher};

use crate::tree::Column;

use super::block::{Block, BlockScan};
use super::{Output, Plan};

/// Raised when the layout or the meaning of state changes between versions of the engine.
const STATE_VERSION: u32 = 1;

/// In front of a relation whose children the query excludes.
const ONLY: &str = "ONLY ";

impl Plan {
    /// A hash over the plan's meaning and the layout of its state. Table and column names are left
    /// out (objects count by OID and attribute number), as are indexes that the plan does not use.
    /// The value is stored, so the hasher is one with a fixed algorithm.
    /// `also` is anything else that it depends on.
    pub fn fingerprint(&self, also: &impl Hash) -> u64 {
        let mut plan = self.clone();
        let columns = plan.columns.iter_mut();
        columns.for_each(anonymise);
        for node in &mut plan.nodes {
            node.keys.iter_mut().for_each(anonymise);
            node.aggregates
                .iter_mut()
                .for_each(|a| anonymise(&mut a.column));
            anonymise_block(&mut node.block);
        }
        if let Output::Linear { block, .. } = &mut plan.output {
            anonymise_block(block);
        }
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        STATE_VERSION.hash(&mut hasher);
        plan.hash(&mut hasher);
        also.hash(&mut hasher);
        hasher.finish()
    }
}

fn anonymise(column: &mut Column) {
    column.name.clear();
}

fn anonymise_block(block: &mut Block) {
    block.columns.iter_mut().for_each(anonymise);
    for scan in block.branches.iter_mut().flat_map(|b| &mut b.scans) {
        match scan {
            BlockScan::Table(table) => {
                table.indexes.clear();
                // What is left says whether children are excluded.
                let only = if table.relation.starts_with(ONLY) {
                    ONLY.len()
                } else {
                    0
                };
                table.relation.truncate(only);
                for column in &mut table.columns {
                    column.quoted.clear();
                    anonymise(&mut column.column);
                }
            }
            BlockScan::Node { columns, .. } => columns.iter_mut().for_each(anonymise),
        }
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo). The standard library promises no fixed algorithm.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

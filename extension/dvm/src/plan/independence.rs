//! Whether rows of the result can be maintained independently of each other.
//!
//! `out(t) = out(t₀) + f(ΔR)` with f row by row, or group by group: what a change does to one row of the
//! result, or to its state, follows from the change and that row alone, whatever else is in the source and
//! in the result. Transactions that touch different rows can then be taken in side by side, each at a
//! snapshot that shows its own rows as their last writer left them. Whatever reads more than the delta (the
//! other side of a join, the rest of a group when its extremum leaves, rows by position) cannot.

use super::maintenance::Maintenance;

use super::block::{Block, BlockScan};
use super::{Identity, Output, Plan};

impl Plan {
    /// Whether each row of the stream table follows from the delta of the one table that the query reads
    /// and from its own old state.
    pub fn has_independent_rows(&self) -> bool {
        let is_keyed_by_image = |identity: &Identity| match identity {
            Identity::Key { columns, .. } => columns.iter().all(|at| {
                let column = self.columns.get(*at);
                column.is_some_and(|column| column.ty.image_equality)
            }),
            Identity::Image => true,
        };
        self.images.is_empty()
            && match (self.nodes.as_slice(), &self.output) {
                ([], Output::Linear { block, identity }) => {
                    reads_one_table_once(block) && is_keyed_by_image(identity)
                }
                ([node], Output::Post { identity, .. }) => {
                    reads_one_table_once(&node.block)
                        && matches!(node.maintenance, Maintenance::Accumulate { .. })
                        && !node.may_recompute()
                        // Without it, rows of different groups can be the same row of the result.
                        && matches!(identity, Identity::Key { .. })
                }
                _ => false,
            }
    }
}

/// Whether the block is a selection and projection of one table, perhaps with rows computed from each row.
fn reads_one_table_once(block: &Block) -> bool {
    let [branch] = block.branches.as_slice() else {
        return false;
    };
    let is_table = |scan: &BlockScan| matches!(scan, BlockScan::Table(_));
    let tables = branch.scans.iter().filter(|f| is_table(&f.scan)).count();
    tables == 1
        && branch.scans.iter().all(|factor| {
            factor.outer.is_none()
                && (is_table(&factor.scan) || matches!(factor.scan, BlockScan::Expand { .. }))
        })
}

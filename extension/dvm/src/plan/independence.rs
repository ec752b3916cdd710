//! Whether rows of the result can be maintained independently of each other.
//!
//! `out(t) = out(t₀) + f(ΔR)` with f row by row, or group by group: the effect of a change on one row of the
//! result, or on its state, depends only on the change and that row. Transactions that touch different rows can
//! then be applied in parallel, each at a snapshot that shows its rows as their last writer left them.
//!
//! `f(ΔR ⋈ S)` is such a function while nothing else changes the rows of S that ΔR joins: those with the same
//! values in the join columns. With three tables, a change of the first can join one of the third through a row
//! of the second that has neither's values, so the limit is two. A group whose extremum leaves is recomputed
//! from rows that only writers of the group change. Rows by position and outer joins are not independent.

use super::maintenance::Maintenance;

use super::block::{Block, BlockScan};
use super::{Identity, Output, Plan};
use crate::tree::{ColumnId, Expr, Scan};

/// What has to stand still while a change is taken in, beside the rows of the result that it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Independence {
    /// Where two tables are joined: each with its columns, in corresponding order. Rows of the other table with the same
    /// values in them are read.
    pub joined: Vec<(u32, Vec<i16>)>,
    /// Whether rows of the tables are read again that contribute to a row of the result.
    pub rereads: bool,
}

impl Plan {
    /// What it takes to maintain each row of the stream table by itself, if that is possible.
    pub fn independence(&self) -> Option<Independence> {
        let is_keyed_by_image = |identity: &Identity| match identity {
            Identity::Key { columns, .. } => columns.iter().all(|at| {
                let column = self.columns.get(*at);
                column.is_some_and(|column| column.ty.image_equality)
            }),
            Identity::Image => true,
        };
        if !self.images.is_empty() {
            return None;
        }
        match (self.nodes.as_slice(), &self.output) {
            ([], Output::Linear { block, identity }) if is_keyed_by_image(identity) => {
                let joined = joined(block)?;
                let rereads = false;
                Some(Independence { joined, rereads })
            }
            // Without a key, rows of different groups can be the same row of the result.
            ([node], Output::Post { identity, .. })
                if matches!(node.maintenance, Maintenance::Accumulate { .. })
                    && matches!(identity, Identity::Key { .. }) =>
            {
                let joined = joined(&node.block)?;
                let rereads = node.may_recompute();
                Some(Independence { joined, rereads })
            }
            _ => None,
        }
    }
}

/// The tables that the block joins by values that look alike, none if it is a selection and projection of one table,
/// perhaps with rows computed from each row.
fn joined(block: &Block) -> Option<Vec<(u32, Vec<i16>)>> {
    let [branch] = block.branches.as_slice() else {
        return None;
    };
    let mut tables = Vec::new();
    for factor in &branch.scans {
        match &factor.scan {
            _ if factor.outer.is_some() => return None,
            BlockScan::Table(scan) => tables.push(scan),
            BlockScan::Expand { .. } => {}
            BlockScan::Node { .. }
            | BlockScan::Image { .. }
            | BlockScan::Bound { .. }
            | BlockScan::Condition { .. } => return None,
        }
    }
    match tables.as_slice() {
        [_] => Some(Vec::new()),
        [left, right] if left.oid != right.oid => {
            let equalities = branch.predicates.iter().filter_map(|p| p.equality.as_ref());
            let pairs = equalities.filter_map(|(a, b)| {
                columns_of(left, right, a, b).or_else(|| columns_of(left, right, b, a))
            });
            let (of_left, of_right): (Vec<_>, Vec<_>) = pairs.unzip();
            let joined = vec![(left.oid, of_left), (right.oid, of_right)];
            (joined.iter().all(|(_, columns)| !columns.is_empty())).then_some(joined)
        }
        _ => None,
    }
}

/// The columns of the two tables that two expressions of one type are, if equal values of it look alike.
fn columns_of(left: &Scan, right: &Scan, a: &Expr, b: &Expr) -> Option<(i16, i16)> {
    let attnum = |scan: &Scan, id: ColumnId| {
        let column = scan.columns.iter().find(|c| c.column.id == id);
        column.map(|column| column.attnum)
    };
    let (of_left, of_right) = (
        attnum(left, a.as_column()?)?,
        attnum(right, b.as_column()?)?,
    );
    (a.ty == b.ty && a.ty.image_equality).then_some((of_left, of_right))
}

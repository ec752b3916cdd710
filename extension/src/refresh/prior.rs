//! The time of a refresh estimated from table sizes, as long as there are no refreshes to learn from. The figures
//! only have to be right within a small factor: measured times replace them.

use pgrx::pg_sys;
use pgtrickle_dvm::plan::Maintenance;

use crate::error::Result;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;

use super::compiled::{Compiled, has_table};
use super::cost::Prior;
use super::state_names;

/// Microseconds to compute a row of a source into the result.
const SOURCE_ROW_US: f64 = 0.3;
/// Microseconds to compare or write a row of the result.
const RESULT_ROW_US: f64 = 1.5;
/// Microseconds to read a change row.
const CHANGE_US: f64 = 2.0;
/// Microseconds to join a change row to one more table.
const JOIN_US: f64 = 1.0;
/// Rows of a partition, of which nothing is known.
const PARTITION_ROWS: f64 = 10.0;

/// What is expected of this stream table.
pub fn of(compiled: &Compiled) -> Result<Prior> {
    let mut source_rows = 0.0;
    for oid in compiled.tables.iter().flat_map(|table| &table.tree) {
        source_rows += rows(pg_sys::Oid::from(*oid));
    }
    let plan = &compiled.plan;
    let mut written = vec![rows(compiled.stream_table)];
    let mut computed_us = 0.0;
    for node in &plan.nodes {
        if has_table(node) {
            let prefix = compiled.context().state_prefix;
            written.push(rows(state_names::state_table_oid(prefix, node.id)?));
        }
        let groups = written.last().copied().unwrap_or(1.0).max(1.0);
        let rows_of_group = match node.maintenance {
            Maintenance::Accumulate { .. } | Maintenance::Rows => 0.0,
            Maintenance::Recompute => source_rows / groups,
            Maintenance::Partition(_) => PARTITION_ROWS,
        };
        computed_us += rows_of_group * SOURCE_ROW_US;
    }
    let branches = plan.blocks().flat_map(|block| &block.branches);
    let joins = branches.map(|branch| branch.scans.len().saturating_sub(1));
    let joins = joins.max().unwrap_or(0) as f64;
    let result_rows: f64 = written.iter().sum();
    Ok(Prior {
        again_ms: (source_rows * SOURCE_ROW_US + result_rows * RESULT_ROW_US) / 1e3,
        change_us: CHANGE_US + JOIN_US * joins + computed_us,
        written,
    })
}

fn rows(table: pg_sys::Oid) -> f64 {
    Relation::try_open(table, LockMode::AccessShare)
        .map_or(0.0, |relation| relation.estimated_rows())
}

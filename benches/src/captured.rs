//! Captured columns, for measuring the text of capture triggers, and what that text took when it was
//! a formatted string per column, joined afterwards.

use pgtrickle_dvm::capture_sql::CapturedColumn;

/// Numbers of columns, with the allocations that formatting each column took.
pub const ALLOCATIONS_BEFORE: [(usize, u64); 2] = [(10, 124), (500, 5035)];

/// Columns with names of a usual length.
pub fn columns(count: usize) -> Vec<CapturedColumn> {
    (1..=count)
        .map(|number| CapturedColumn {
            buffer: format!("a{number}"),
            source: format!("column_number_{number}"),
        })
        .collect()
}

//! Expressions over columns that print as given.

use std::collections::HashMap;

use crate::tree::{ColumnId, Expr};

/// How columns print.
pub(crate) type Printed = HashMap<ColumnId, String>;

/// An expression over columns that print as given.
pub fn render_over(expr: &Expr, printed: &Printed) -> String {
    expr.render(|id| {
        printed
            .get(&id)
            .cloned()
            .unwrap_or_else(|| format!("unresolved_column_{}", id.0))
    })
}

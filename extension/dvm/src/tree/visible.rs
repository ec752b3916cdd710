//! The rows of a table that the owner of a stream table may see.

use std::hash::{Hash, Hasher};

/// The condition of policies on a changed row of a table, over [`crate::sql::names::CHANGED_ROW`]; of the table itself
/// the server shows no others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visible(Option<String>);

impl Visible {
    /// The rows for which this holds.
    pub fn where_true(condition: impl Into<String>) -> Self {
        Visible(Some(condition.into()))
    }

    /// The condition, where some rows are hidden.
    pub fn condition(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// Plans of tables without row security are what they were before there was this: fingerprints are stored.
impl Hash for Visible {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(condition) = &self.0 {
            condition.hash(state);
        }
    }
}

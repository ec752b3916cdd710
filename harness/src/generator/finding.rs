//! What can be wrong with a case.

use std::fmt;

/// The kind of a finding. Shrinking keeps to the kind it started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FindingKind {
    /// The extension refused a query that PostgreSQL takes.
    Refused(String),
    /// A refresh failed where the query does not.
    RefreshFailed(String),
    /// A change failed in a way that only capture can be the cause of.
    ChangeFailed(String),
    /// The oracle says no.
    Wrong,
    /// A refresh was not by delta.
    NotByDelta,
    /// What cancels out was applied.
    NotNothing,
    /// The counts do not explain the table's size.
    Miscounted,
    /// The parts are not the whole.
    PartsDiffer,
    /// Something was left behind.
    Orphans,
    /// The connection broke.
    Crash,
}

/// Something wrong.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// In words.
    pub what: String,
    /// The act at which it showed.
    pub act: usize,
    /// `explain_st` of the stream table.
    pub explain: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at act {}: {}", self.kind, self.act, self.what)
    }
}

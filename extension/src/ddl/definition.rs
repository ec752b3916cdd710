//! The definition of a stream table, as the user gives it.

use crate::catalog::RequestedMode;
use crate::pg::settings::Settings;

/// A stream table to be created.
#[derive(Debug, Clone)]
pub struct Definition<'a> {
    /// Possibly qualified name.
    pub name: &'a str,
    /// Text of the query.
    pub query: &'a str,
    /// Schedule, already checked.
    pub schedule: &'a str,
    /// Refresh mode.
    pub mode: RequestedMode,
    /// Whether to fill it now.
    pub initialize: bool,
    /// Whether it may be spread over the nodes of a cluster.
    pub may_spread: bool,
    /// By which of its columns, if that is not to be derived.
    pub distribution_column: Option<&'a str>,
    /// The settings under which its query is read and runs.
    pub settings: Settings,
}

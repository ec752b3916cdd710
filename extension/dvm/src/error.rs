//! What the engine refuses.

/// A query that the engine cannot maintain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A result depends on the order of rows that tie in ORDER BY.
    #[error("the result of {construct} depends on the order of rows that tie in its ORDER BY")]
    AmbiguousOrder {
        /// What computes it.
        construct: String,
    },
    /// A statement would have more columns than the server takes.
    #[error("its changes take {columns} columns side by side, at most {limit} are possible")]
    TooWide {
        /// How many there would be.
        columns: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A subquery depends on the row around it in a way that cannot be turned into joins.
    #[error("a correlated subquery cannot be unnested: {reason}")]
    CannotUnnest {
        /// What stands in the way.
        reason: &'static str,
    },
}

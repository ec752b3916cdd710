//! What can be maintained incrementally, what cannot, why, and what to do instead.
//!
//! Invariant: one table ([`ALL`]) serves `explain_capabilities`, refusals and the
//! documentation, which `cargo xtask docs` prints from it.

mod table;

pub use table::*;

/// Where in a query a construct stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Area {
    /// What is read.
    Source,
    /// How inputs are combined.
    Join,
    /// Expressions and functions.
    Expression,
    /// Grouping and aggregates.
    Aggregate,
    /// Set operations, DISTINCT, ordering and limits.
    Query,
    /// Who may read what.
    Security,
}

impl Area {
    /// Name for display.
    pub fn name(self) -> &'static str {
        match self {
            Area::Source => "source",
            Area::Join => "join",
            Area::Expression => "expression",
            Area::Aggregate => "aggregate",
            Area::Query => "query",
            Area::Security => "security",
        }
    }
}

/// Whether and how a construct is maintained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Support {
    /// Maintained in DIFFERENTIAL mode.
    Maintained {
        /// How.
        how: &'static str,
    },
    /// Maintained in DIFFERENTIAL mode; refused in IMMEDIATE mode.
    NotImmediate {
        /// Why.
        reason: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// Not maintained in DIFFERENTIAL mode; AUTO uses FULL.
    FullOnly {
        /// Why.
        reason: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// Refused in every mode.
    Refused {
        /// Why.
        reason: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
}

/// A row of the capability table.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Capability {
    /// Stable code, as in messages, history and metrics.
    pub code: &'static str,
    /// Where it stands.
    pub area: Area,
    /// Name for readers.
    pub title: &'static str,
    /// Whether and how it is maintained.
    pub support: Support,
    /// A query over the tables of docs/SQL_SUPPORT.md that shows it, where one can.
    pub example: &'static str,
}

/// The row with this code.
pub fn find(code: &str) -> Option<&'static Capability> {
    ALL.iter().copied().find(|c| c.code == code)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_in_screaming_snake_case() {
        let mut seen = HashSet::new();
        for capability in ALL {
            assert!(seen.insert(capability.code), "{} twice", capability.code);
            assert!(
                capability
                    .code
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c == '_'),
                "{}",
                capability.code
            );
        }
    }

    #[test]
    fn refusals_say_why_and_what_to_do() {
        for capability in ALL {
            if let Support::FullOnly { reason, remedy }
            | Support::NotImmediate { reason, remedy }
            | Support::Refused { reason, remedy } = capability.support
            {
                assert!(
                    !reason.is_empty() && !remedy.is_empty(),
                    "{}",
                    capability.code
                );
            }
        }
    }

    #[test]
    fn rows_are_found_by_code() {
        assert_eq!(find("OUTER_JOIN"), Some(&OUTER_JOIN));
        assert_eq!(find("NO_SUCH_CODE"), None);
    }
}

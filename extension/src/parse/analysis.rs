//! What an analysis finds.

use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{ColumnType, Relation};

use super::spread::Spread;
use crate::capability::{Capability, Support};
use crate::error::Obstacle;

/// The result of analysing a query.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The operator tree; present when and only when `unsupported` is empty.
    pub relation: Option<Relation>,
    /// Output columns of the query, in order. They are the columns of `relation`.
    pub columns: Vec<OutputColumn>,
    /// The tables that the query reads, below all views, by rising OID.
    pub sources: Vec<SourceTable>,
    /// Every relation that the query names, tables and views, so that a change of any of them can
    /// make the analysis out of date.
    pub relations: Vec<pg_sys::Oid>,
    /// Types whose definition is in printed values, with that definition.
    pub definitions: BTreeSet<String>,
    /// The settings that the result depends on.
    pub settings: BTreeSet<&'static str>,
    /// Tables of which policies hide rows that are maintained all the same, by OID.
    pub secured: BTreeSet<u32>,
    /// Whether text may say what the clock decides, which raises an error.
    pub may_meet_clock_words: bool,
    /// The tables of Citus that it reads.
    pub spread: Spread,
    /// Everything that cannot be maintained incrementally.
    pub unsupported: Vec<Unsupported>,
    /// The constructs that the query is made of.
    pub constructs: Vec<Construct>,
}

/// A column of the query's result.
#[derive(Debug, Clone)]
pub struct OutputColumn {
    /// Name, not quoted.
    pub name: String,
    /// Type facts.
    pub ty: ColumnType,
    /// Type.
    pub type_oid: pg_sys::Oid,
    /// Type modifier.
    pub typmod: i32,
    /// Collation.
    pub collation: pg_sys::Oid,
    /// Whether it can be NULL. True when in doubt.
    pub nullable: bool,
}

/// A table that the query reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTable {
    /// OID.
    pub oid: pg_sys::Oid,
    /// Kind (`pg_class.relkind`).
    pub relkind: u8,
    /// Whether it is a partitioned table.
    pub is_partitioned: bool,
    /// Attribute numbers that the query uses, rising.
    pub columns: Vec<i16>,
    /// Name, qualified and quoted.
    pub relation: String,
}

/// A construct that cannot be maintained incrementally.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unsupported {
    /// Stable code.
    pub code: &'static str,
    /// What was found, with its name.
    pub construct: String,
    /// Why it cannot be maintained.
    pub reason: &'static str,
    /// What to do instead.
    pub remedy: &'static str,
    /// Whether no refresh mode supports it.
    pub hard: bool,
}

impl Unsupported {
    /// A finding by its row in the capability table.
    pub fn new(capability: &'static Capability, construct: impl Into<String>) -> Self {
        let (reason, remedy, hard) = match capability.support {
            Support::FullOnly { reason, remedy } | Support::NotImmediate { reason, remedy } => {
                (reason, remedy, false)
            }
            Support::Refused { reason, remedy } => (reason, remedy, true),
            Support::Maintained { how } => (how, "", false),
        };
        Self {
            code: capability.code,
            construct: construct.into(),
            reason,
            remedy,
            hard,
        }
    }
}

impl From<&Unsupported> for Obstacle {
    fn from(found: &Unsupported) -> Self {
        Obstacle {
            code: found.code.to_owned(),
            reason: format!("{}: {}", found.construct, found.reason),
            remedy: found.remedy.to_owned(),
        }
    }
}

/// A construct that is maintained.
#[derive(Debug, Clone)]
pub struct Construct {
    /// Its row in the capability table.
    pub capability: &'static Capability,
    /// What was found, with its name.
    pub construct: String,
}

//! What all rules share: their inputs, and the statements that they make.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::plan::{Plan, Source};
use crate::tree::{Expr, Predicate};

use super::links::Links;
use super::term::Stored;

/// A delta whose terms may need intermediate results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockDelta {
    /// Statements to run first, each into an ephemeral relation that is consolidated before it is read.
    pub steps: Vec<Step>,
    /// `UNION ALL` of the terms; `None` when no branch has a changed source. The weight is an
    /// `integer`, or a `bigint` when terms multiply weights.
    pub terms: Option<String>,
    /// The steps whose results the terms read.
    pub after: Vec<usize>,
    /// The sources whose deltas the terms read.
    pub reads: BTreeSet<Source>,
}

/// A statement whose result later statements read by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Name of the ephemeral relation.
    pub name: String,
    /// The statement.
    pub sql: String,
    /// The earlier step whose result it reads.
    pub after: Option<usize>,
    /// The sources whose deltas it reads.
    pub reads: BTreeSet<Source>,
}

/// What a statement builder must know beside the plan.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Qualified prefix of state table names; the node's number follows.
    pub state_prefix: &'a str,
    /// Joins of up to this many scans get their corrections inlined.
    pub inline_limit: usize,
    /// How stored rows are found by values that may be NULL.
    pub links: Links,
}

impl<'a> Context<'a> {
    /// Where nodes keep their state.
    pub(super) fn stored(&self) -> Stored<'a> {
        Stored {
            plan: self.plan,
            state_prefix: self.state_prefix,
            links: self.links,
        }
    }

    /// The same with links of this kind.
    pub fn linking(self, links: Links) -> Self {
        Context { links, ..self }
    }
}

/// What a node's consumer wants of a group's row.
#[derive(Debug, Clone)]
pub struct Emit<'a> {
    /// Conditions over the node's columns.
    pub predicates: &'a [Predicate],
    /// Output columns over the node's columns.
    pub exprs: Cow<'a, [Expr]>,
    /// Whether the old row is wanted too.
    pub with_old: bool,
}

pub(super) fn push_where(sql: &mut String, conditions: &[String]) {
    if !conditions.is_empty() {
        sql.push_str("\nWHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
}

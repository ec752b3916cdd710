//! Inner joins, with filters and projections: the delta of a select-project-join.
//!
//! ```text
//! Δ(R₁ ⋈ … ⋈ Rₙ) = Σ over ∅ ≠ S ⊆ changed of (−1)^(|S|+1) · ⋈_{i∈S} ΔRᵢ ⋈ ⋈_{j∉S} Rⱼ⁺
//! ```
//! This is the binomial expansion of `⋈ Rᵢ⁺ − ⋈ (Rᵢ⁺ − ΔRᵢ)`. It needs new states only, each term is
//! one flat join that the server's planner orders freely, and with one changed relation there is
//! one term. Filters and projections are linear and ride along.
//!
//! State: none. Cost: each term is driven by a delta; O(|Δ|) look-ups when the join columns have
//! indexes. Terms: 2^m − 1 for m changed relations; beyond a limit [`super::prefix_join`] takes
//! over, with the same result.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::canary;
use crate::plan::{Block, BlockScan, Branch, Plan, Source};
use crate::sql::names::{WEIGHT, prefix};
use crate::sql::{Role, relation, render_over};

use super::prefix_join;

/// A delta whose terms may need intermediate results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockDelta {
    /// Statements to run first, each into an ephemeral relation.
    pub steps: Vec<Step>,
    /// `UNION ALL` of the terms; `None` when no branch has a changed source.
    pub terms: Option<String>,
}

/// A statement whose result later statements read by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Name of the ephemeral relation.
    pub name: String,
    /// The statement.
    pub sql: String,
}

/// What a statement builder must know beside the plan.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Qualified prefix of state table names; the node's number follows.
    pub state_prefix: &'a str,
    /// Up to this many changed relations the corrections are inlined.
    pub inline_limit: usize,
}

/// The delta of a block, for the sources that changed. Output columns are named by `name`, followed
/// by the weight.
pub fn differentiate(
    context: Context<'_>,
    block: &Block,
    changed: &BTreeSet<Source>,
    name: &dyn Fn(usize) -> String,
) -> BlockDelta {
    let mut delta = BlockDelta::default();
    let mut terms: Vec<String> = Vec::new();
    for (position, branch) in block.branches.iter().enumerate() {
        let moved = changed_scans(branch, changed);
        if moved.is_empty() {
            continue;
        }
        if moved.len() <= context.inline_limit.max(1) {
            terms.extend(inline_terms(context, branch, &moved, name));
        } else {
            let (steps, last) = prefix_join::differentiate(
                context,
                branch,
                &moved,
                &|step| prefix(position, step),
                name,
            );
            delta.steps.extend(steps);
            terms.extend(last);
        }
    }
    if !terms.is_empty() {
        delta.terms = Some(terms.join("\nUNION ALL\n"));
    }
    delta
}

/// Positions of the scans whose source changed.
fn changed_scans(branch: &Branch, changed: &BTreeSet<Source>) -> Vec<usize> {
    let sources: Vec<Source> = branch.scans.iter().map(BlockScan::source).collect();
    let mut moved: Vec<usize> = (0..sources.len())
        .filter(|i| sources.get(*i).is_some_and(|s| changed.contains(s)))
        .collect();
    if canary::active(canary::SELF_JOIN_ONCE) {
        moved.retain(|i| sources.iter().position(|s| Some(s) == sources.get(*i)) == Some(*i));
    }
    moved
}

fn inline_terms(
    context: Context<'_>,
    branch: &Branch,
    moved: &[usize],
    name: &dyn Fn(usize) -> String,
) -> Vec<String> {
    (1_u32..1 << moved.len())
        .filter(|subset| {
            subset.is_power_of_two() || !canary::active(canary::MISSING_CORRECTION_TERM)
        })
        .map(|subset| {
            let mut roles = vec![Role::State; branch.scans.len()];
            for (bit, position) in moved.iter().enumerate() {
                if subset & (1 << bit) != 0
                    && let Some(role) = roles.get_mut(*position)
                {
                    *role = Role::Delta;
                }
            }
            let negative = subset.count_ones() % 2 == 0 && !canary::active(canary::WRONG_SIGN);
            term(context, branch, &roles, negative, name)
        })
        .collect()
}

/// The whole block as the snapshot shows it, each row with weight 1.
pub fn state(context: Context<'_>, block: &Block, name: &dyn Fn(usize) -> String) -> String {
    let terms: Vec<String> = block
        .branches
        .iter()
        .map(|branch| {
            let roles = vec![Role::State; branch.scans.len()];
            term(context, branch, &roles, false, name)
        })
        .collect();
    terms.join("\nUNION ALL\n")
}

/// One flat join.
fn term(
    context: Context<'_>,
    branch: &Branch,
    roles: &[Role],
    negative: bool,
    name: &dyn Fn(usize) -> String,
) -> String {
    let printed = relation::column_names(branch, roles);
    let mut sql = String::with_capacity(256);
    sql.push_str("SELECT ");
    for (position, expr) in branch.outputs.iter().enumerate() {
        let _ = write!(
            sql,
            "{} AS {}, ",
            render_over(expr, &printed),
            name(position)
        );
    }
    let weights: Vec<String> = roles
        .iter()
        .enumerate()
        .filter(|(_, role)| **role == Role::Delta)
        .map(|(position, _)| format!("s{position}.{WEIGHT}"))
        .collect();
    let _ = write!(sql, "{} AS {WEIGHT}", weight(&weights, negative));
    let items: Vec<String> = branch
        .scans
        .iter()
        .zip(roles)
        .enumerate()
        .map(|(position, (scan, role))| {
            relation::from_item(context.plan, context.state_prefix, scan, *role, position)
        })
        .collect();
    push_from(&mut sql, &items);
    let conditions: Vec<String> = branch
        .predicates
        .iter()
        .map(|p| format!("({})", render_over(&p.expr, &printed)))
        .collect();
    push_where(&mut sql, &conditions);
    sql
}

/// Product of weights, negated for a correction.
pub(super) fn weight(weights: &[String], negative: bool) -> String {
    let sign = if negative { "- " } else { "" };
    if canary::active(canary::LOST_DUPLICATE) && !weights.is_empty() {
        return format!("{sign}sign({})::integer", weights.join(" * "));
    }
    match weights {
        [] => format!("{sign}1"),
        [one] => format!("{sign}{one}"),
        many => format!("{sign}({})", many.join(" * ")),
    }
}

pub(super) fn push_from(sql: &mut String, items: &[String]) {
    if !items.is_empty() {
        sql.push_str("\nFROM ");
        sql.push_str(&items.join(", "));
    }
}

pub(super) fn push_where(sql: &mut String, conditions: &[String]) {
    if !conditions.is_empty() {
        sql.push_str("\nWHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
}

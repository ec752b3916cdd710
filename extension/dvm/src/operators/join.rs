//! Inner joins, with filters and projections: the delta of a select-project-join.
//!
//! ```text
//! Δ(R₁ ⋈ … ⋈ Rₙ) = Σ over ∅ ≠ S ⊆ changed of (−1)^(|S|+1) · ⋈_{i∈S} ΔRᵢ ⋈ ⋈_{j∉S} Rⱼ⁺
//! ```
//! This is the binomial expansion of `⋈ Rᵢ⁺ − ⋈ (Rᵢ⁺ − ΔRᵢ)`. It needs only new states, each term is
//! one flat join that the server's planner orders freely, and with one changed relation there is
//! one term. Filters and projections are linear and apply to each term.
//!
//! A relation that is computed from rows of others ([`crate::plan::BlockScan::Expand`]) has no delta of its own:
//! `Δ(R ⋈ f(R)) = ΔR ⋈ f(ΔR)`.
//!
//! A factor may also be the null-supplying side of an outer join, see [`super::outer_join`].
//!
//! State: none. Cost: a delta drives each term; O(|Δ|) look-ups when the join columns have
//! indexes. Terms: 2^m − 1 for m changed relations, which return up to 3^m − 1 rows for a result row whose inputs all
//! changed, most of which cancel. So there are at most [`INLINE_TERMS_MAX`] terms; beyond that, and in
//! joins of more relations than a limit, [`super::prefix_join`] computes the same result.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::canary;
use crate::plan::{Block, Branch, Factor, Source};
use crate::sql::names::{WEIGHT, prefix};
use crate::sql::render_over;

use super::statement::{BlockDelta, Context};
use super::term::{FromClause, Moved, PLANNED_FREELY, Role, reads_present};
use super::weight::weight;
use super::{outer_join, prefix_join};

/// A delta of more terms than this is never written out; `m` changed inner factors make 2^m − 1.
const INLINE_TERMS_MAX: usize = 7;

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
        let moved = changed_factors(branch, changed);
        if moved.is_empty() {
            continue;
        }
        if is_inlined(context, branch, &moved) {
            let unchanged = vec![Role::State; branch.scans.len()];
            terms.extend(inline_terms(context, branch, unchanged, &moved, name));
            for factor in &moved {
                let changed = branch.scans.get(factor.position);
                delta.reads.extend(changed.iter().flat_map(|f| f.sources()));
            }
        } else {
            let name_of = |step| prefix(position, step);
            let prefixes = prefix_join::differentiate(
                context,
                branch,
                &moved,
                delta.steps.len(),
                &name_of,
                name,
            );
            delta.steps.extend(prefixes.steps);
            delta.after.extend(delta.steps.len().checked_sub(1));
            delta.reads.extend(prefixes.last_reads);
            terms.extend(prefixes.last_terms);
        }
    }
    if !terms.is_empty() {
        delta.terms = Some(terms.join("\nUNION ALL\n"));
    }
    delta
}

/// Whether the terms are written out. One changed relation is one term in either form.
fn is_inlined(context: Context<'_>, branch: &Branch, moved: &[Moved]) -> bool {
    let scans = branch.scans.iter().filter(|f| f.source().is_some()).count();
    let choices = moved.iter().try_fold(1_usize, |product, factor| {
        product.checked_mul(1 + factor.roles.len())
    });
    let is_short = choices.is_some_and(|choices| choices <= INLINE_TERMS_MAX + 1);
    moved.len() <= 1 || (scans <= context.inline_limit && is_short)
}

/// The factors that changed, each with the ways in which it did.
pub(super) fn changed_factors(branch: &Branch, changed: &BTreeSet<Source>) -> Vec<Moved> {
    let mut moved: Vec<Moved> = branch
        .scans
        .iter()
        .enumerate()
        .map(|(position, factor)| Moved {
            position,
            roles: outer_join::changes(factor, changed),
        })
        .filter(|moved| !moved.roles.is_empty())
        .collect();
    if canary::active(canary::SELF_JOIN_ONCE) {
        let sources: Vec<Option<Source>> = branch.scans.iter().map(Factor::source).collect();
        moved.retain(|m| {
            sources
                .iter()
                .position(|s| Some(s) == sources.get(m.position))
                == Some(m.position)
        });
    }
    moved
}

/// The terms in which any of the moved factors play other roles than these.
pub(super) fn inline_terms(
    context: Context<'_>,
    branch: &Branch,
    roles: Vec<Role>,
    moved: &[Moved],
    name: &dyn Fn(usize) -> String,
) -> Vec<String> {
    let mut choices = vec![roles];
    for factor in moved {
        let unchanged = choices.clone();
        for role in &factor.roles {
            choices.extend(unchanged.iter().cloned().map(|mut roles| {
                if let Some(slot) = roles.get_mut(factor.position) {
                    *slot = *role;
                }
                roles
            }));
        }
    }
    choices
        .into_iter()
        .filter_map(|roles| {
            let deltas = roles.iter().filter(|role| **role != Role::State).count();
            if deltas == 0 || (deltas > 1 && canary::active(canary::MISSING_CORRECTION_TERM)) {
                return None;
            }
            let negative = deltas % 2 == 0 && !canary::active(canary::WRONG_SIGN);
            Some(term(context, branch, &roles, negative, name))
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
    let mut from = FromClause::new(context.stored());
    for (position, (factor, role)) in branch.scans.iter().zip(roles).enumerate() {
        from.add(factor, *role, position, reads_present(branch, factor));
    }
    from.add_conditions(&branch.predicates);
    let mut sql = String::with_capacity(256);
    sql.push_str("SELECT ");
    for (position, expr) in branch.outputs.iter().enumerate() {
        let _ = write!(
            sql,
            "{} AS {}, ",
            render_over(expr, &from.printed),
            name(position)
        );
    }
    let weight = weight(&from.weights, negative != from.negative);
    let _ = write!(sql, "{weight} AS {WEIGHT}");
    // A term starts at a delta; the whole state has nowhere to start.
    let free = match roles.iter().all(|role| *role == Role::State) {
        true => usize::MAX,
        false => PLANNED_FREELY,
    };
    from.write(&mut sql, free);
    sql
}

#[cfg(test)]
mod tests;

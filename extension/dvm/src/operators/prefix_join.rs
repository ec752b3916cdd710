//! Inner joins with many changed relations: the prefix form, linear in their number.
//!
//! ```text
//! Pᵢ = R₁ ⋈ … ⋈ Rᵢ        ΔPᵢ = ΔPᵢ₋₁ ⋈ Rᵢ⁺ + Pᵢ₋₁⁺ ⋈ ΔRᵢ − ΔPᵢ₋₁ ⋈ ΔRᵢ
//! ```
//! Each `ΔPᵢ₋₁` is computed once, consolidated, and shared by the two terms that read it. Unchanged relations
//! join in the step of the next changed one; the null-supplying side of an outer join is a factor like any
//! other, with two summands in `ΔRᵢ`. Same result as [`super::join`]: three terms (five) per changed relation
//! instead of 2^m − 1 (3^m − 1) in total.
//!
//! The three terms return up to four rows per changed row of `Pᵢ`; where both sides changed, they cancel.
//! Consolidated (weights summed per image, zeros dropped) they are the net change of `Pᵢ`, so the input of a
//! step does not grow with the steps before it. Only columns that later steps read are kept.
//!
//! State: none. Cost: O(Σ |ΔPᵢ| + |ΔRᵢ|) look-ups. A term's joins start at its deltas, see [`crate::sql`].

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::canary;
use crate::operators::term::{FromClause, Moved, Role};
use crate::plan::{Branch, Factor, Matched, Outer, Source};
use crate::sql::names::WEIGHT;
use crate::sql::render_over;
use crate::tree::ColumnId;

use super::weight::weight;
use crate::operators::statement::{Context, Step};

/// There are many steps to plan: fewer relations than elsewhere have their order searched for.
const PLANNED_FREELY_IN_STEPS: usize = 4;

/// The delta of a branch.
pub(super) struct Prefixes {
    /// One step per changed relation but the last.
    pub steps: Vec<Step>,
    /// The terms over the last step.
    pub last_terms: Vec<String>,
    /// The sources whose deltas they read.
    pub last_reads: BTreeSet<Source>,
}

/// Steps and final terms for the branch, whose scans at `moved` positions changed. There are `earlier` steps
/// before these.
pub(super) fn differentiate(
    context: Context<'_>,
    branch: &Branch,
    moved: &[Moved],
    earlier: usize,
    prefix_name: &dyn Fn(usize) -> String,
    name: &dyn Fn(usize) -> String,
) -> Prefixes {
    let order = connected_order(branch);
    let changed: Vec<(usize, &Moved)> = order
        .iter()
        .enumerate()
        .filter_map(|(at, scan)| Some((at, moved.iter().find(|m| m.position == *scan)?)))
        .collect();
    let mut prefixes = Prefixes {
        steps: Vec::new(),
        last_terms: Vec::new(),
        last_reads: BTreeSet::new(),
    };
    let mut applied = vec![false; branch.predicates.len()];
    let mut covered = 0;
    for (count, (at, moved)) in changed.iter().enumerate() {
        let is_last = count + 1 == changed.len();
        let end = if is_last { order.len() } else { at + 1 };
        let builder = Builder {
            context,
            branch,
            prefix: order.get(..covered).unwrap_or_default(),
            added: order.get(covered..end).unwrap_or_default(),
            moved,
            prefix_delta: (count > 0).then(|| prefix_name(count - 1)),
            applied: &applied,
            output: if is_last {
                Columns::Outputs(name)
            } else {
                Columns::Carried(carried(branch, order.get(..end).unwrap_or_default()))
            },
        };
        let terms = builder.terms();
        let changed = branch.scans.get(moved.position);
        let reads = changed.iter().flat_map(|f| f.sources()).collect();
        if is_last {
            prefixes.last_terms = terms;
            prefixes.last_reads = reads;
        } else {
            prefixes.steps.push(Step {
                name: prefix_name(count),
                sql: terms.join("\nUNION ALL\n"),
                after: count.checked_sub(1).map(|before| earlier + before),
                reads,
            });
        }
        covered = end;
        mark_applied(branch, order.get(..end).unwrap_or_default(), &mut applied);
    }
    prefixes
}

/// Scans in an order in which each is connected to an earlier one by a predicate, if possible, and in
/// which a factor comes after all that it reads.
fn connected_order(branch: &Branch) -> Vec<usize> {
    let ids: Vec<BTreeSet<ColumnId>> = branch
        .scans
        .iter()
        .map(|s| s.column_ids().into_iter().collect())
        .collect();
    let mut order: Vec<usize> = Vec::new();
    let mut seen: BTreeSet<ColumnId> = BTreeSet::new();
    while order.len() < branch.scans.len() {
        let open = || {
            (0..branch.scans.len()).filter(|i| {
                !order.contains(i)
                    && branch
                        .scans
                        .get(*i)
                        .is_some_and(|factor| outer_reads(factor).is_subset(&seen))
            })
        };
        let connected = open().find(|i| {
            let (Some(own), Some(factor)) = (ids.get(*i), branch.scans.get(*i)) else {
                return false;
            };
            factor.outer.is_some()
                || branch.predicates.iter().any(|p| {
                    let reads = p.expr.columns();
                    !reads.is_disjoint(own) && !reads.is_disjoint(&seen)
                })
        });
        let Some(next) = connected.or_else(|| open().next()) else {
            break;
        };
        if let Some(own) = ids.get(next) {
            seen.extend(own);
        }
        order.push(next);
    }
    debug_assert_eq!(
        order.len(),
        branch.scans.len(),
        "an ON condition reads ahead"
    );
    order
}

/// The columns of other factors that a factor reads: computed rows do, and outer joins' conditions.
fn outer_reads(factor: &Factor) -> BTreeSet<ColumnId> {
    let mut reads = factor.scan.reads();
    let conditions = factor.outer.iter().flat_map(Outer::conditions);
    reads.extend(conditions.flat_map(|p| p.expr.columns()));
    for id in factor.column_ids() {
        reads.remove(&id);
    }
    if let Some(Matched::Set { columns, .. }) = factor.outer.as_ref().map(|o| &o.matched) {
        for column in columns {
            reads.remove(&column.id);
        }
    }
    reads
}

fn columns_of(branch: &Branch, scans: &[usize]) -> BTreeSet<ColumnId> {
    scans
        .iter()
        .filter_map(|i| branch.scans.get(*i))
        .flat_map(Factor::column_ids)
        .collect()
}

/// Columns of the covered scans that outputs or later predicates read.
fn carried(branch: &Branch, covered: &[usize]) -> Vec<ColumnId> {
    let own = columns_of(branch, covered);
    let mut needed: BTreeSet<ColumnId> = BTreeSet::new();
    for expr in &branch.outputs {
        needed.extend(expr.columns());
    }
    for predicate in &branch.predicates {
        let reads = predicate.expr.columns();
        if !reads.is_subset(&own) {
            needed.extend(reads);
        }
    }
    for (position, factor) in branch.scans.iter().enumerate() {
        if !covered.contains(&position) {
            needed.extend(outer_reads(factor));
        }
    }
    needed.intersection(&own).copied().collect()
}

fn mark_applied(branch: &Branch, covered: &[usize], applied: &mut [bool]) {
    let own = columns_of(branch, covered);
    for (predicate, applied) in branch.predicates.iter().zip(applied) {
        *applied = *applied || predicate.expr.columns().is_subset(&own);
    }
}

enum Columns<'a> {
    /// The branch's outputs.
    Outputs(&'a dyn Fn(usize) -> String),
    /// Columns for later steps, named by their identity.
    Carried(Vec<ColumnId>),
}

struct Builder<'a> {
    context: Context<'a>,
    branch: &'a Branch,
    /// Scans of the earlier prefix.
    prefix: &'a [usize],
    /// Scans that join in this step.
    added: &'a [usize],
    /// The one among `added` that changed.
    moved: &'a Moved,
    /// Name of the prefix's delta, when there is one.
    prefix_delta: Option<String>,
    /// Predicates that the prefix's delta has applied.
    applied: &'a [bool],
    output: Columns<'a>,
}

impl Builder<'_> {
    fn terms(&self) -> Vec<String> {
        let changes = &self.moved.roles;
        let mut terms: Vec<String> = changes.iter().map(|role| self.term(false, *role)).collect();
        if self.prefix_delta.is_some() {
            terms.push(self.term(true, Role::State));
            if !canary::active(canary::MISSING_CORRECTION_TERM) {
                terms.extend(changes.iter().map(|role| self.term(true, *role)));
            }
        }
        terms
    }

    /// One term: over the prefix's delta or its state, and the added relation's delta or state.
    fn term(&self, prefix_is_delta: bool, added: Role) -> String {
        let mut from = FromClause::new(self.context.stored());
        let prefix = self.prefix_delta.as_ref().filter(|_| prefix_is_delta);
        match prefix {
            Some(name) => {
                let columns = columns_of(self.branch, self.prefix)
                    .into_iter()
                    .map(|id| (id, format!("p.{}", carried_name(id))))
                    .collect();
                from.add_prefix(name, columns);
            }
            None => self
                .prefix
                .iter()
                .for_each(|i| self.add(&mut from, *i, Role::State)),
        }
        for position in self.added {
            let is_changed = *position == self.moved.position;
            let role = if is_changed { added } else { Role::State };
            self.add(&mut from, *position, role);
        }
        let within: Vec<usize> = self.prefix.iter().chain(self.added).copied().collect();
        let own = columns_of(self.branch, &within);
        let conditions = self
            .branch
            .predicates
            .iter()
            .zip(self.applied)
            .filter(|(p, applied)| {
                p.expr.columns().is_subset(&own) && !(prefix.is_some() && **applied)
            })
            .map(|(p, _)| p);
        from.add_conditions(conditions);

        let mut sql = String::from("SELECT ");
        match &self.output {
            Columns::Outputs(name) => {
                for (position, expr) in self.branch.outputs.iter().enumerate() {
                    let text = render_over(expr, &from.printed);
                    let _ = write!(sql, "{text} AS {}, ", name(position));
                }
            }
            Columns::Carried(ids) => {
                for id in ids {
                    let text = from.printed.get(id).cloned().unwrap_or_default();
                    let _ = write!(sql, "{text} AS {}, ", carried_name(*id));
                }
            }
        }
        let corrects =
            prefix_is_delta && added != Role::State && !canary::active(canary::WRONG_SIGN);
        let weight = weight(&from.weights, corrects != from.negative);
        let _ = write!(sql, "{weight} AS {WEIGHT}");
        from.write(&mut sql, PLANNED_FREELY_IN_STEPS);
        sql
    }

    fn add(&self, from: &mut FromClause<'_>, position: usize, role: Role) {
        if let Some(factor) = self.branch.scans.get(position) {
            from.add(factor, role, position, true);
        }
    }
}

fn carried_name(id: ColumnId) -> String {
    format!("p{}", id.0)
}

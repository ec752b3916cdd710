//! Inner joins with many changed relations: the prefix form, linear in their number.
//!
//! ```text
//! Pᵢ = R₁ ⋈ … ⋈ Rᵢ        ΔPᵢ = ΔPᵢ₋₁ ⋈ Rᵢ⁺ + Pᵢ₋₁⁺ ⋈ ΔRᵢ − ΔPᵢ₋₁ ⋈ ΔRᵢ
//! ```
//! Each `ΔPᵢ₋₁` is computed once and shared by the two terms that read it. Relations without
//! changes join along with the next changed one. Same result as [`super::join`], three terms per
//! changed relation instead of 2^m − 1 in all.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use crate::canary;
use crate::plan::{BlockScan, Branch};
use crate::sql::names::WEIGHT;
use crate::sql::{Role, relation, render_over};
use crate::tree::ColumnId;

use super::join::{Context, Step, push_from, push_where, weight};

/// Steps and final terms for the branch, whose scans at `moved` positions changed.
pub(super) fn differentiate(
    context: Context<'_>,
    branch: &Branch,
    moved: &[usize],
    prefix_name: &dyn Fn(usize) -> String,
    name: &dyn Fn(usize) -> String,
) -> (Vec<Step>, Vec<String>) {
    let order = connected_order(branch);
    let changed: Vec<usize> = (0..order.len())
        .filter(|i| order.get(*i).is_some_and(|scan| moved.contains(scan)))
        .collect();
    let mut steps: Vec<Step> = Vec::new();
    let mut applied = vec![false; branch.predicates.len()];
    let mut covered = 0;
    let mut last_terms = Vec::new();
    for (count, at) in changed.iter().enumerate() {
        let is_last = count + 1 == changed.len();
        let end = if is_last { order.len() } else { at + 1 };
        let builder = Builder {
            context,
            branch,
            prefix: order.get(..covered).unwrap_or_default(),
            added: order.get(covered..end).unwrap_or_default(),
            delta_scan: order.get(*at).copied().unwrap_or_default(),
            prefix_delta: (count > 0).then(|| prefix_name(count - 1)),
            applied: &applied,
            output: if is_last {
                Columns::Outputs(name)
            } else {
                Columns::Carried(carried(branch, order.get(..end).unwrap_or_default()))
            },
        };
        let terms = builder.terms();
        if is_last {
            last_terms = terms;
        } else {
            steps.push(Step {
                name: prefix_name(count),
                sql: terms.join("\nUNION ALL\n"),
            });
        }
        covered = end;
        mark_applied(branch, order.get(..end).unwrap_or_default(), &mut applied);
    }
    (steps, last_terms)
}

/// Scans in an order in which each is connected to an earlier one by a predicate, if possible, and
/// none comes before one that it reads.
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
            (0..branch.scans.len())
                .filter(|i| !order.contains(i))
                .filter(|i| reads_of(branch, *i).is_subset(&seen))
        };
        let connected = open().find(|i| {
            ids.get(*i).is_some_and(|own| {
                branch.predicates.iter().any(|p| {
                    let reads = p.expr.columns();
                    !reads.is_disjoint(own) && !reads.is_disjoint(&seen)
                })
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
    order
}

/// Columns of other scans that a scan reads.
fn reads_of(branch: &Branch, scan: usize) -> BTreeSet<ColumnId> {
    branch
        .scans
        .get(scan)
        .map_or_else(BTreeSet::new, BlockScan::reads)
}

fn columns_of(branch: &Branch, scans: &[usize]) -> BTreeSet<ColumnId> {
    scans
        .iter()
        .filter_map(|i| branch.scans.get(*i))
        .flat_map(BlockScan::column_ids)
        .collect()
}

/// Columns of the covered scans that outputs, later predicates or later scans read.
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
    for scan in (0..branch.scans.len()).filter(|scan| !covered.contains(scan)) {
        needed.extend(reads_of(branch, scan));
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
    delta_scan: usize,
    /// Name of the prefix's delta, when there is one.
    prefix_delta: Option<String>,
    /// Predicates that the prefix's delta has applied.
    applied: &'a [bool],
    output: Columns<'a>,
}

impl Builder<'_> {
    fn terms(&self) -> Vec<String> {
        let mut terms = vec![self.term(false, true)];
        if self.prefix_delta.is_some() {
            terms.push(self.term(true, false));
            if !canary::active(canary::MISSING_CORRECTION_TERM) {
                terms.push(self.term(true, true));
            }
        }
        terms
    }

    /// One term: over the prefix's delta or its state, and the added relation's delta or state.
    fn term(&self, prefix_is_delta: bool, added_is_delta: bool) -> String {
        let mut roles = vec![Role::State; self.branch.scans.len()];
        if added_is_delta && let Some(role) = roles.get_mut(self.delta_scan) {
            *role = Role::Delta;
        }
        let mut printed: HashMap<ColumnId, String> = relation::column_names(self.branch, &roles);
        let mut items = Vec::new();
        let mut weights = Vec::new();
        let prefix = self.prefix_delta.as_ref().filter(|_| prefix_is_delta);
        match prefix {
            Some(name) => {
                items.push(format!("{name} AS p"));
                weights.push(format!("p.{WEIGHT}"));
                for id in columns_of(self.branch, self.prefix) {
                    printed.insert(id, format!("p.{}", carried_name(id)));
                }
            }
            None => items.extend(self.prefix.iter().map(|i| self.item(*i, &roles, &printed))),
        }
        items.extend(self.added.iter().map(|i| self.item(*i, &roles, &printed)));
        if added_is_delta {
            weights.push(format!("s{}.{WEIGHT}", self.delta_scan));
        }
        let within: Vec<usize> = self.prefix.iter().chain(self.added).copied().collect();
        let own = columns_of(self.branch, &within);
        let conditions: Vec<String> = self
            .branch
            .predicates
            .iter()
            .zip(self.applied)
            .filter(|(p, applied)| {
                p.expr.columns().is_subset(&own) && !(prefix.is_some() && **applied)
            })
            .map(|(p, _)| format!("({})", render_over(&p.expr, &printed)))
            .collect();

        let mut sql = String::from("SELECT ");
        match &self.output {
            Columns::Outputs(name) => {
                for (position, expr) in self.branch.outputs.iter().enumerate() {
                    let _ = write!(
                        sql,
                        "{} AS {}, ",
                        render_over(expr, &printed),
                        name(position)
                    );
                }
            }
            Columns::Carried(ids) => {
                for id in ids {
                    let text = printed.get(id).cloned().unwrap_or_default();
                    let _ = write!(sql, "{text} AS {}, ", carried_name(*id));
                }
            }
        }
        let negative = prefix_is_delta && added_is_delta && !canary::active(canary::WRONG_SIGN);
        let _ = write!(sql, "{} AS {WEIGHT}", weight(&weights, negative));
        push_from(&mut sql, &items);
        push_where(&mut sql, &conditions);
        sql
    }

    fn item(&self, scan: usize, roles: &[Role], printed: &HashMap<ColumnId, String>) -> String {
        let role = roles.get(scan).copied().unwrap_or(Role::State);
        self.branch
            .scans
            .get(scan)
            .map(|s| relation::from_item(self.context, s, role, scan, printed))
            .unwrap_or_default()
    }
}

fn carried_name(id: ColumnId) -> String {
    format!("p{}", id.0)
}

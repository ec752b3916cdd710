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
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::operators::testing::delta_within;
    use crate::tree::Relation;
    use crate::tree::testing::{equal, expand, join, project, scan};

    fn delta(relation: Relation, tables: &[u32], inline_limit: usize) -> String {
        let changed: Vec<_> = tables.iter().map(|oid| Source::Table(*oid)).collect();
        delta_within(relation, &changed, inline_limit)
    }

    fn two() -> Relation {
        let both = join(
            scan(1, 10, "r"),
            scan(2, 20, "s"),
            vec![equal("$11", "$21")],
        );
        project(both, &[(31, "x", "($12 + $22)")])
    }

    fn chain() -> Relation {
        let two = join(
            scan(1, 10, "r"),
            scan(2, 20, "s"),
            vec![equal("$11", "$21")],
        );
        let three = join(two, scan(3, 30, "t"), vec![equal("$22", "$31")]);
        project(three, &[(41, "x", "$13"), (42, "y", "$33")])
    }

    #[test]
    fn one_changed_source_is_one_term() {
        assert_snapshot!(delta(two(), &[2], 5), @r"
        SELECT (s0.b + s1.a2) AS c0, s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_2 AS s1
        WHERE ((s0.a = s1.a1))
        ");
    }

    #[test]
    fn two_changed_sources_are_corrected_once() {
        assert_snapshot!(delta(two(), &[1, 2], 5), @r"
        SELECT (s0.a2 + s1.b) AS c0, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0, s AS s1
        WHERE ((s0.a1 = s1.a))
        UNION ALL
        SELECT (s0.b + s1.a2) AS c0, s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_2 AS s1
        WHERE ((s0.a = s1.a1))
        UNION ALL
        SELECT (s0.a2 + s1.a2) AS c0, - (s0.__pgt_w::bigint * s1.__pgt_w) AS __pgt_w
        FROM __pgt_delta_1 AS s0, __pgt_delta_2 AS s1
        WHERE ((s0.a1 = s1.a1))
        ");
    }

    #[test]
    fn an_unrelated_change_has_no_term() {
        assert_snapshot!(delta(two(), &[9], 5), @"nothing");
    }

    #[test]
    fn a_self_join_has_both_scans_changed() {
        let both = join(
            scan(1, 10, "r"),
            scan(1, 20, "r"),
            vec![equal("$11", "$22")],
        );
        assert_snapshot!(delta(project(both, &[(31, "x", "$12")]), &[1], 5), @r"
        SELECT s0.a2 AS c0, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0, r AS s1
        WHERE ((s0.a1 = s1.b))
        UNION ALL
        SELECT s0.b AS c0, s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_1 AS s1
        WHERE ((s0.a = s1.a2))
        UNION ALL
        SELECT s0.a2 AS c0, - (s0.__pgt_w::bigint * s1.__pgt_w) AS __pgt_w
        FROM __pgt_delta_1 AS s0, __pgt_delta_1 AS s1
        WHERE ((s0.a1 = s1.a2))
        ");
    }

    #[test]
    fn beyond_the_limit_steps_share_the_delta_of_the_prefix() {
        assert_snapshot!(delta(chain(), &[1, 2, 3], 2), @r"
        __pgt_prefix_0_0:
        SELECT s0.a1 AS p11, s0.a3 AS p13, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0

        __pgt_prefix_0_1:
        SELECT s0.c AS p13, s1.a2 AS p22, s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_2 AS s1
        WHERE ((s0.a = s1.a1))
        UNION ALL
        SELECT p.p13 AS p13, s1.b AS p22, p.__pgt_w AS __pgt_w
        FROM __pgt_prefix_0_0 AS p, s AS s1
        WHERE ((p.p11 = s1.a))
        UNION ALL
        SELECT p.p13 AS p13, s1.a2 AS p22, - (p.__pgt_w::bigint * s1.__pgt_w) AS __pgt_w
        FROM __pgt_prefix_0_0 AS p, __pgt_delta_2 AS s1
        WHERE ((p.p11 = s1.a1))

        SELECT s0.c AS c0, s2.a3 AS c1, s2.__pgt_w AS __pgt_w
        FROM r AS s0, s AS s1, __pgt_delta_3 AS s2
        WHERE ((s0.a = s1.a)) AND ((s1.b = s2.a1))
        UNION ALL
        SELECT p.p13 AS c0, s2.c AS c1, p.__pgt_w AS __pgt_w
        FROM __pgt_prefix_0_1 AS p, t AS s2
        WHERE ((p.p22 = s2.a))
        UNION ALL
        SELECT p.p13 AS c0, s2.a3 AS c1, - (p.__pgt_w::bigint * s2.__pgt_w) AS __pgt_w
        FROM __pgt_prefix_0_1 AS p, __pgt_delta_3 AS s2
        WHERE ((p.p22 = s2.a1))
        ");
    }

    #[test]
    fn unchanged_relations_join_along_with_the_next_changed_one() {
        assert_snapshot!(delta(chain(), &[1, 3], 1), @r"
        __pgt_prefix_0_0:
        SELECT s0.a1 AS p11, s0.a3 AS p13, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0

        SELECT s0.c AS c0, s2.a3 AS c1, s2.__pgt_w AS __pgt_w
        FROM r AS s0, s AS s1, __pgt_delta_3 AS s2
        WHERE ((s0.a = s1.a)) AND ((s1.b = s2.a1))
        UNION ALL
        SELECT p.p13 AS c0, s2.c AS c1, p.__pgt_w AS __pgt_w
        FROM __pgt_prefix_0_0 AS p, s AS s1, t AS s2
        WHERE ((p.p11 = s1.a)) AND ((s1.b = s2.a))
        UNION ALL
        SELECT p.p13 AS c0, s2.a3 AS c1, - (p.__pgt_w::bigint * s2.__pgt_w) AS __pgt_w
        FROM __pgt_prefix_0_0 AS p, s AS s1, __pgt_delta_3 AS s2
        WHERE ((p.p11 = s1.a)) AND ((s1.b = s2.a1))
        ");
    }

    #[test]
    fn computed_rows_ride_along() {
        let computed = expand(two(), "unnest(ARRAY[$31, 7])", &[(51, "u")]);
        let computed = expand(computed, "generate_series(1, $51)", &[(61, "n")]);
        let shown = project(computed, &[(71, "x", "($31 + $61)")]);
        assert_snapshot!(delta(shown, &[2], 5), @r"
        SELECT (((s0.b + s1.a2)) + s3.c0) AS c0, s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_2 AS s1, LATERAL unnest(ARRAY[((s0.b + s1.a2)), 7]) AS s2(c0), LATERAL generate_series(1, s2.c0) AS s3(c0)
        WHERE ((s0.a = s1.a1))
        ");
    }

    #[test]
    fn computed_rows_join_after_those_that_they_read() {
        let computed = expand(
            join(scan(1, 10, "r"), scan(2, 20, "s"), vec![]),
            "unnest(ARRAY[$12, $22])",
            &[(51, "u")],
        );
        let three = join(computed, scan(3, 30, "t"), vec![equal("$51", "$31")]);
        let shown = project(three, &[(71, "x", "$51"), (72, "y", "$33")]);
        assert_snapshot!(delta(shown, &[1, 3], 1), @r"
        __pgt_prefix_0_0:
        SELECT s0.a2 AS p12, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0

        SELECT s2.c0 AS c0, s3.a3 AS c1, s3.__pgt_w AS __pgt_w
        FROM r AS s0, s AS s1, LATERAL unnest(ARRAY[s0.b, s1.b]) AS s2(c0), __pgt_delta_3 AS s3
        WHERE ((s2.c0 = s3.a1))
        UNION ALL
        SELECT s2.c0 AS c0, s3.c AS c1, p.__pgt_w AS __pgt_w
        FROM __pgt_prefix_0_0 AS p, s AS s1, LATERAL unnest(ARRAY[p.p12, s1.b]) AS s2(c0), t AS s3
        WHERE ((s2.c0 = s3.a))
        UNION ALL
        SELECT s2.c0 AS c0, s3.a3 AS c1, - (p.__pgt_w::bigint * s3.__pgt_w) AS __pgt_w
        FROM __pgt_prefix_0_0 AS p, s AS s1, LATERAL unnest(ARRAY[p.p12, s1.b]) AS s2(c0), __pgt_delta_3 AS s3
        WHERE ((s2.c0 = s3.a1))
        ");
    }

    #[test]
    fn terms_are_as_many_as_non_empty_subsets() {
        for (changed, terms) in [(&[1][..], 1), (&[1, 2], 3), (&[1, 2, 3], 7)] {
            let sql = delta(chain(), changed, 8);
            assert_eq!(sql.matches("SELECT").count(), terms, "{sql}");
        }
    }

    #[test]
    fn the_number_of_scans_decides_whether_terms_are_written_out() {
        for (limit, steps) in [(1, 1), (2, 1), (3, 0), (64, 0)] {
            let sql = delta(chain(), &[1, 3], limit);
            assert_eq!(sql.matches("__pgt_prefix_0_0:").count(), steps, "{sql}");
        }
        assert!(!delta(chain(), &[2], 1).contains("__pgt_prefix"));
        let many = (2..=10).fold(scan(1, 10, "r"), |joined, number| {
            let next = scan(number, 10 * number, "s");
            join(
                joined,
                next,
                vec![equal("$11", &format!("${}", 10 * number + 1))],
            )
        });
        let changed: Vec<u32> = (1..=10).collect();
        let many = delta(project(many, &[(901, "x", "$12")]), &changed, 64);
        assert_eq!(many.matches("SELECT").count(), 1 + 3 * 9, "{many}");
    }
}

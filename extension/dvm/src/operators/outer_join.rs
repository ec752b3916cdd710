//! Left outer joins as factors of a product.
//!
//! ```text
//! L ⟕ R = Σ over l ∈ L of l × F(l)        F(l) = σ_on(l)(R) + (1 − m(l)) · NULLs
//! ```
//! where `m(l)` is 1 if l has a match and 0 otherwise. SQL's LEFT JOIN over the new state computes `F⁺`.
//! Its delta is
//! ```text
//! ΔF(l) = σ_on(l)(ΔR) − Δm(l) · NULLs
//! ```
//! and Δm is the delta of a set M with exactly one row per match: R itself where the ON condition fixes a
//! key of R, otherwise a DISTINCT node over the matching values. A product of such factors is multilinear
//! whatever the ON conditions read of earlier factors, so the expansion of [`super::join`] holds, with
//! two kinds of change for this factor.
//!
//! State: M, where R is not keyed. Cost: O(|Δ|) look-ups. It never recomputes.

use std::collections::BTreeSet;

use crate::canary;
use crate::operators::term::Role;
use crate::plan::{Factor, Source};

/// The ways in which a factor changed, given which sources did.
pub(super) fn changes(factor: &Factor, changed: &BTreeSet<Source>) -> Vec<Role> {
    let mut roles = Vec::new();
    if factor.source().is_some_and(|s| changed.contains(&s)) {
        roles.push(Role::Delta);
    }
    if factor
        .matched_source()
        .is_some_and(|source| changed.contains(&source))
        && !canary::active(canary::PADDING_STAYS)
    {
        roles.push(Role::Unmatched);
    }
    roles
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::operators::testing::delta;
    use crate::plan::Source;
    use crate::tree::Relation;
    use crate::tree::testing::{condition, equal, keyed_scan, left_join, project, scan};

    fn dimension() -> Relation {
        let both = left_join(
            scan(1, 10, "r"),
            keyed_scan(2, 20, "k"),
            vec![equal("$12", "$21")],
        );
        project(both, &[(31, "x", "$11"), (32, "y", "$22")])
    }

    fn many() -> Relation {
        let both = left_join(
            scan(1, 10, "r"),
            scan(2, 20, "s"),
            vec![equal("$12", "$21"), condition("($23 > 0)")],
        );
        project(both, &[(31, "x", "$11"), (32, "y", "$22")])
    }

    #[test]
    fn a_change_of_the_preserved_side_looks_up_its_matches() {
        assert_snapshot!(delta(dimension(), &[Source::Table(1)]), @r"
        SELECT s0.a1 AS c0, s1.b AS c1, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0 LEFT JOIN k AS s1 ON (((s0.a2 = s1.a)))
        ");
    }

    #[test]
    fn a_keyed_side_pads_by_its_own_delta() {
        assert_snapshot!(delta(dimension(), &[Source::Table(2)]), @r"
        SELECT s0.a AS c0, s1.a2 AS c1, s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_2 AS s1
        WHERE ((s0.b = s1.a1))
        UNION ALL
        SELECT s0.a AS c0, (NULL::integer[])[1] AS c1, - s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_2 AS s1
        WHERE ((s0.b = s1.a1))
        ");
    }

    #[test]
    fn other_sides_pad_when_the_set_of_matches_changes() {
        assert_snapshot!(delta(many(), &[Source::Table(2), Source::Node(0)]), @r"
        SELECT s0.a AS c0, s1.a2 AS c1, s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_2 AS s1
        WHERE ((s0.b = s1.a1)) AND ((s1.a3 > 0))
        UNION ALL
        SELECT s0.a AS c0, (NULL::integer[])[1] AS c1, - s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_node0 AS s1
        WHERE ((s0.b = s1.c0))
        ");
    }
}

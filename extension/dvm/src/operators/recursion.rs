//! Recursion: `R = S ⊎ T(R)` for UNION ALL, the least set with `R = S ∪ T(R)` for UNION, where the seed S and the
//! step T are linear blocks over tables and T reads R once, so that `T(A ⊎ B) = T(A) ⊎ T(B)`.
//!
//! Each table's delta is split into deleted rows (gone) and inserted rows P. Between the two, `E° = E⁺ − P`.
//! `D(Δ)` is what changes Δ of the tables derive in one step from the current image, by the rule of [`join`].
//!
//! **UNION ALL**, where a row counts as often as it is derived:
//! ```text
//! R° − R⁻ = Σ over k ≥ 0 of (T°)ᵏ (D(ΔE) − D(P))  over R⁻
//! R⁺ − R° = Σ over k ≥ 0 of (T⁺)ᵏ (D(P))          over R°
//! ```
//! Each sum ends because the recursion did, before and now. One sum for both signs would be wrong: it leaves rows
//! that derive each other in a cycle that is no longer reachable.
//!
//! **UNION**, by semi-naive evaluation and DRed (A. Gupta, I. S. Mumick, V. S. Subrahmanian: Maintaining Views
//! Incrementally, SIGMOD 1993). Signs do not matter in a set:
//! ```text
//! O = R⁻ ∩ (D(gone) ∪ T⁺(O))                        rows that may have lost a derivation
//! R° = R⁻ \ O
//! A = ((O ∩ (S⁺ ∪ T⁺(R°))) ∪ D(P) ∪ T⁺(A)) \ R°     rows that are derived otherwise, or by rows that came
//! R⁺ = R° ∪ A
//! ```
//! Both are least fixpoints, reached by applying T⁺ to the rows that the last round found. T⁺ suffices for T⁻ in O,
//! because D(gone) has what T⁻ derives from a deleted row. Equal rows must have equal images.
//!
//! State: the rows of R, indexed by image and by the columns that T joins. Cost: O(rows that change or lose a
//! derivation) look-ups, one statement per round.

use std::collections::BTreeSet;

use crate::canary;
use crate::operators::term::FromClause;
use crate::operators::term::Role;
use crate::plan::{Block, Factor, Image, Recursion, Source};
use crate::sql::names::{TOUCHED, WEIGHT, column, key};
use crate::sql::{Printed, render_over};

use super::join;
use crate::operators::statement::Context;

/// D: what the deltas of the changed tables derive in one step from the image as it is, as far as they change seed and
/// step at all.
pub fn changes(
    context: Context<'_>,
    recursion: &Recursion,
    changed: &BTreeSet<Source>,
) -> Option<String> {
    let terms: Vec<String> = [&recursion.seed, &recursion.step]
        .into_iter()
        .filter_map(|block| delta(context, block, changed))
        .collect();
    (!terms.is_empty()).then(|| terms.join("\nUNION ALL\n"))
}

/// What the delta of the image derives in one step: T⁺, or T° where the deltas of tables are those that came.
pub fn step(
    context: Context<'_>,
    image: &Image,
    recursion: &Recursion,
    came: &BTreeSet<Source>,
) -> String {
    let of_rows = |factor: &Factor| match factor.source() == Some(Source::Image(image.id)) {
        true => Role::Delta,
        false => Role::State,
    };
    let terms = recursion.step.branches.iter().flat_map(|branch| {
        let roles = branch.scans.iter().map(of_rows).collect();
        let moved = join::changed_factors(branch, came);
        join::inline_terms(context, branch, roles, &moved, &column)
    });
    terms.collect::<Vec<_>>().join("\nUNION ALL\n")
}

/// Terms without intermediate results: there are few tables in a join, and few terms.
fn delta(context: Context<'_>, block: &Block, changed: &BTreeSet<Source>) -> Option<String> {
    let terms = block.branches.iter().flat_map(|branch| {
        let unchanged = vec![Role::State; branch.scans.len()];
        let moved = join::changed_factors(branch, changed);
        join::inline_terms(context, branch, unchanged, &moved, &column)
    });
    let terms: Vec<String> = terms.collect();
    (!terms.is_empty()).then(|| terms.join("\nUNION ALL\n"))
}

/// The rows that seed and step derive in one step from the image as it is, among those of [`TOUCHED`], which are NULL
/// in these columns.
pub fn rederive(context: Context<'_>, recursion: &Recursion, null_columns: &[bool]) -> String {
    let branches = [&recursion.seed, &recursion.step]
        .into_iter()
        .flat_map(|block| &block.branches);
    let equality = |position: usize| {
        let column = recursion.seed.columns.get(position);
        column.map_or("", |column| column.ty.equality.as_str())
    };
    let terms: Vec<String> = branches
        .map(|branch| {
            let mut from = FromClause::new(context.stored());
            from.add_prefix(TOUCHED, Printed::new());
            for (position, factor) in branch.scans.iter().enumerate() {
                from.add(factor, Role::State, position, false);
            }
            from.add_conditions(&branch.predicates);
            let mut items = Vec::with_capacity(branch.outputs.len());
            for (position, expr) in branch.outputs.iter().enumerate() {
                let value = render_over(expr, &from.printed);
                items.push(format!("{value} AS {}", column(position)));
                from.add_condition(match null_columns.get(position) {
                    Some(true) => format!("({value}) IS NOT DISTINCT FROM NULL"),
                    _ => format!("({value}) {} p.{}", equality(position), key(position)),
                });
            }
            if canary::active(canary::REDERIVATION_FORGOTTEN) {
                from.add_condition("1 = 0".into());
            }
            items.push(format!("1 AS {WEIGHT}"));
            let mut sql = format!("SELECT {}", items.join(", "));
            from.write(&mut sql, usize::MAX);
            sql
        })
        .collect();
    terms.join("\nUNION ALL\n")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::operators::testing::context;
    use crate::plan::{Plan, compile};
    use crate::tree::testing::{condition, equal, filter, join, opaque, project, scan};
    use crate::tree::{self, Relation};

    /// `SELECT r.a, r.b FROM r WHERE r.c > 0 UNION SELECT w.x, s.b FROM w JOIN s ON s.a = w.y JOIN t ON t.a = s.c`.
    fn reach() -> Plan {
        let query = "WITH RECURSIVE w …";
        let rows = Relation::Opaque(opaque(query, &[(1, "x"), (2, "y")], &[1, 2, 3]));
        let some = filter(scan(1, 10, "r"), vec![condition("($13 > 0)")]);
        let seed = project(some, &[(91, "x", "$11"), (92, "y", "$12")]);
        let two = join(rows, scan(2, 20, "s"), vec![equal("$21", "$2")]);
        let three = join(two, scan(3, 30, "t"), vec![equal("$31", "$23")]);
        let step = project(three, &[(91, "x", "$1"), (92, "y", "$22")]);
        let mut whole = opaque(query, &[(101, "x"), (102, "y")], &[1, 2, 3]);
        whole.recursion = tree::Recursion::new(seed, step, true, query).map(Box::new);
        compile(Relation::Opaque(whole)).expect("supported")
    }

    fn text(of: impl Fn(Context<'_>, &Image, &Recursion) -> String) -> String {
        let plan = reach();
        let context = Context {
            inline_limit: 1,
            ..context(&plan)
        };
        let image = plan.images.first().expect("an image");
        of(
            context,
            image,
            image.recursion.as_ref().expect("a recursion"),
        )
    }

    fn tables(oids: &[u32]) -> BTreeSet<Source> {
        oids.iter().map(|oid| Source::Table(*oid)).collect()
    }

    #[test]
    fn a_plan_tells_how_a_recursion_is_followed() {
        assert_snapshot!(reach().to_string(), @r"
        image 0: a recursion, by deltas: delete and rederive
          WITH RECURSIVE w …
          r where (c > 0)
          image 0 ⋈ s ⋈ t where (a = y) and (a = c)
        output: linear
          image 0
        rows match by image
        ");
    }

    #[test]
    fn joined_columns_of_the_rows_are_indexed() {
        let plan = reach();
        let image = plan.images.first().expect("an image");
        assert_eq!(image.indexes, [1]);
    }

    #[test]
    fn changed_tables_derive_rows_from_those_that_are_there() {
        let changed = tables(&[1, 2]);
        let text = text(|context, _, rule| changes(context, rule, &changed).unwrap_or_default());
        assert_snapshot!(text, @r"
        SELECT s0.a1 AS c0, s0.a2 AS c1, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0
        WHERE ((s0.a3 > 0))
        UNION ALL
        SELECT s0.c0 AS c0, s1.a2 AS c1, s1.__pgt_w AS __pgt_w
        FROM st_i0 AS s0, __pgt_delta_2 AS s1, t AS s2
        WHERE ((s1.a1 = s0.c1)) AND ((s2.a = s1.a3))
        ");
    }

    #[test]
    fn a_round_joins_new_states() {
        let text = text(|context, image, rule| step(context, image, rule, &tables(&[])));
        assert_snapshot!(text, @r"
        SELECT s0.c0 AS c0, s1.b AS c1, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_image0 AS s0, s AS s1, t AS s2
        WHERE ((s1.a = s0.c1)) AND ((s2.a = s1.c))
        ");
    }

    #[test]
    fn a_round_can_do_without_rows_that_came() {
        let text = text(|context, image, rule| step(context, image, rule, &tables(&[3])));
        assert_snapshot!(text, @r"
        SELECT s0.c0 AS c0, s1.b AS c1, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_image0 AS s0, s AS s1, t AS s2
        WHERE ((s1.a = s0.c1)) AND ((s2.a = s1.c))
        UNION ALL
        SELECT s0.c0 AS c0, s1.b AS c1, - (s0.__pgt_w::bigint * s2.__pgt_w) AS __pgt_w
        FROM __pgt_delta_image0 AS s0, s AS s1, __pgt_delta_3 AS s2
        WHERE ((s1.a = s0.c1)) AND ((s2.a1 = s1.c))
        ");
    }

    #[test]
    fn lost_rows_are_looked_up_in_what_derives_rows() {
        let text = text(|context, _, rule| rederive(context, rule, &[false, true]));
        assert_snapshot!(text, @r"
        SELECT s0.a AS c0, s0.b AS c1, 1 AS __pgt_w
        FROM __pgt_touched AS p, r AS s0
        WHERE ((s0.c > 0)) AND (s0.a) = p.k0 AND (s0.b) IS NOT DISTINCT FROM NULL
        UNION ALL
        SELECT s0.c0 AS c0, s1.b AS c1, 1 AS __pgt_w
        FROM __pgt_touched AS p, st_i0 AS s0, s AS s1, t AS s2
        WHERE ((s1.a = s0.c1)) AND ((s2.a = s1.c)) AND (s0.c0) = p.k0 AND (s1.b) IS NOT DISTINCT FROM NULL
        ");
    }
}

//! Conditions on a bound that moves by itself, as values: `CASE WHEN due < now() THEN 'late' ELSE 'open' END`.
//!
//! A condition is a factor of a product with exactly one row of one column, `C(x) = {p(x, b)}`: true, false or NULL. When
//! the bound moved from b⁻ to b⁺,
//! ```text
//! ΔC(x) = {p(x, b⁺)} − {p(x, b⁻)} where the two differ, else nothing
//! ```
//! With this delta the expansion of [`super::join`] holds: a change of the rows sees b⁺, and each row that the bound
//! passed is taken out and put in once. What is computed of the condition rides along, whatever it is, and several
//! conditions are as many factors, in a plan that grows with their number and not with that of their combinations.
//!
//! Where the two may differ is known for comparisons with one value: `v < b` is a step over time, and differs for the values
//! between the bounds, `v = b` for those at them. Any other condition is computed for each row with both bounds; so is a value
//! that is no condition, `extract(day FROM now() - ts)`, whose equal values must look alike.
//!
//! State: the bound, as it was. Cost: the rows between the bounds, with an index on the value; O(|R|) for other conditions.

use crate::canary;
use crate::plan::{BlockScan, Image, Source};
use crate::sql::names::{WEIGHT, column, delta as delta_name};
use crate::sql::{Printed, render_over};
use crate::tree::{ColumnId, Crossing};

use super::bound::passed;

/// What a condition's delta is made of.
pub(super) struct Passed {
    /// What stands in FROM: the old and the new bound, with their weights.
    pub item: String,
    /// Which values the bound passed.
    pub condition: String,
    /// The column, and how it prints.
    pub column: (ColumnId, String),
}

/// The column, and how it prints over the rows as they are now.
pub(super) fn state(
    scan: &BlockScan,
    images: &[Image],
    printed: &Printed,
) -> Option<(ColumnId, String)> {
    let BlockScan::Condition { image, column, .. } = scan else {
        return None;
    };
    let query = &images.get(*image)?.opaque.query;
    Some((column.id, holds(scan, &format!("({query})"), printed)?))
}

/// The delta under this alias.
pub(super) fn delta(
    scan: &BlockScan,
    source: Source,
    alias: &str,
    printed: &Printed,
) -> Option<Passed> {
    let BlockScan::Condition {
        column: shown,
        found_by,
        ..
    } = scan
    else {
        return None;
    };
    let (moved, bound, other) = (delta_name(source), column(0), column(1));
    let with = |bound: &str| holds(scan, bound, printed).unwrap_or_default();
    let own = with(&format!("{alias}.{bound}"));
    let paired = format!(
        "(SELECT b.{bound}, b.{WEIGHT}, p.{bound} AS {other} FROM {moved} AS b, {moved} AS p)"
    );
    let (item, condition) = match found_by {
        Some((_, Crossing::Between(side))) => {
            let condition = passed(*side, &moved, with);
            (moved.clone(), condition)
        }
        Some((_, Crossing::At)) => (paired, with(&format!("{alias}.{other}"))),
        None => {
            let differs = format!(
                "({own} IS DISTINCT FROM {})",
                with(&format!("{alias}.{other}"))
            );
            (paired, differs)
        }
    };
    let own = match canary::active(canary::CONDITION_STAYS) {
        false => own,
        true => with(&format!("(SELECT max({bound}) FROM {moved})")),
    };
    Some(Passed {
        item,
        condition,
        column: (shown.id, own),
    })
}

/// The condition with this bound.
fn holds(scan: &BlockScan, with: &str, printed: &Printed) -> Option<String> {
    let BlockScan::Condition {
        bound, condition, ..
    } = scan
    else {
        return None;
    };
    let mut printed = printed.clone();
    printed.insert(*bound, with.to_owned());
    Some(render_over(condition, &printed))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::operators::testing::delta;
    use crate::plan::{Source, compile};
    use crate::tree::testing::{
        aggregate, condition, conditioned, filter, filtered, group, opaque, project, scan,
    };
    use crate::tree::{AggregateKind, Crossing, Relation, Side};

    fn late(condition: &str, crossing: Option<Crossing>) -> Relation {
        let bound = opaque("SELECT now()", &[(21, "bound")], &[]);
        let found_by = crossing.map(|crossing| ("$12", crossing));
        conditioned(scan(1, 10, "r"), (22, "late"), condition, found_by, bound)
    }

    fn shown(condition: &str, crossing: Option<Crossing>) -> Relation {
        let value = "CASE WHEN $22 THEN 1 ELSE 0 END";
        let columns = [(31, "x", "$11"), (32, "state", value)];
        project(late(condition, crossing), &columns)
    }

    const BELOW: Option<Crossing> = Some(Crossing::Between(Side::Below));

    #[test]
    fn changed_rows_are_compared_with_the_new_bound() {
        let late = shown("($12 < $21)", BELOW);
        assert_snapshot!(delta(late, &[Source::Table(1)]), @r"
        SELECT s0.a1 AS c0, CASE WHEN (s0.a2 < (SELECT now())) THEN 1 ELSE 0 END AS c1, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0, (SELECT 1 AS one) AS s1
        ");
    }

    #[test]
    fn rows_that_the_bound_passed_are_taken_out_as_they_were_and_put_in_as_they_are() {
        let late = shown("($12 < $21)", BELOW);
        assert_snapshot!(delta(late, &[Source::Image(0)]), @r"
        SELECT s0.a AS c0, CASE WHEN (s0.b < s1.c0) THEN 1 ELSE 0 END AS c1, s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_image0 AS s1
        WHERE ((s0.b < (SELECT max(c0) FROM __pgt_delta_image0)) AND NOT (s0.b < (SELECT min(c0) FROM __pgt_delta_image0)))
        ");
    }

    #[test]
    fn an_equality_changes_for_the_rows_at_the_old_and_at_the_new_bound() {
        let today = shown("($12 = $21)", Some(Crossing::At));
        assert_snapshot!(delta(today, &[Source::Image(0)]), @r"
        SELECT s0.a AS c0, CASE WHEN (s0.b = s1.c0) THEN 1 ELSE 0 END AS c1, s1.__pgt_w AS __pgt_w
        FROM r AS s0, (SELECT b.c0, b.__pgt_w, p.c0 AS c1 FROM __pgt_delta_image0 AS b, __pgt_delta_image0 AS p) AS s1
        WHERE (s0.b = s1.c1)
        ");
    }

    #[test]
    fn any_other_condition_is_computed_with_both_bounds() {
        let expired = shown("($12 < ($21 - $13))", None);
        assert_snapshot!(delta(expired, &[Source::Image(0)]), @r"
        SELECT s0.a AS c0, CASE WHEN (s0.b < (s1.c0 - s0.c)) THEN 1 ELSE 0 END AS c1, s1.__pgt_w AS __pgt_w
        FROM r AS s0, (SELECT b.c0, b.__pgt_w, p.c0 AS c1 FROM __pgt_delta_image0 AS b, __pgt_delta_image0 AS p) AS s1
        WHERE ((s0.b < (s1.c0 - s0.c)) IS DISTINCT FROM (s0.b < (s1.c1 - s0.c)))
        ");
    }

    #[test]
    fn a_value_in_steps_is_computed_with_both_bounds() {
        let days = late("floor($21 - $12)", None);
        let days = project(days, &[(31, "x", "$11"), (32, "days", "$22")]);
        assert_snapshot!(delta(days, &[Source::Image(0)]), @r"
        SELECT s0.a AS c0, floor(s1.c0 - s0.b) AS c1, s1.__pgt_w AS __pgt_w
        FROM r AS s0, (SELECT b.c0, b.__pgt_w, p.c0 AS c1 FROM __pgt_delta_image0 AS b, __pgt_delta_image0 AS p) AS s1
        WHERE (floor(s1.c0 - s0.b) IS DISTINCT FROM floor(s1.c1 - s0.b))
        ");
    }

    #[test]
    fn rows_that_change_while_the_bound_moves_are_corrected_once() {
        let late = shown("($12 < $21)", BELOW);
        let both = delta(late, &[Source::Table(1), Source::Image(0)]);
        assert_eq!(both.matches("UNION ALL").count(), 2, "{both}");
        assert_eq!(
            both.matches("- (s0.__pgt_w::bigint * s1.__pgt_w)").count(),
            1
        );
    }

    #[test]
    fn conditions_on_one_bound_share_it() {
        let bound = opaque("SELECT now()", &[(41, "bound")], &[]);
        let soon = Some(("$13", Crossing::Between(Side::Above)));
        let late = late("($12 < $21)", BELOW);
        let both = conditioned(late, (42, "soon"), "($13 > $41)", soon, bound);
        let either = filter(both, vec![condition("($22 OR $42)")]);
        let counted = filtered(aggregate(52, AggregateKind::CountStar, ""), "$22");
        let plan = compile(group(either, &[(51, "g", "$11")], vec![counted]));
        assert_snapshot!(plan.expect("supported"), @r"
        bound 0: a value that changes with time
          SELECT now()
        node 0: aggregate by (g)
          state: row count and 1 accumulators
          stored in a state table
          r ⋈ (b < bound 0) as late ⋈ (c > bound 0) as soon where (late OR soon)
        output: projection of the last node
        rows match by key (g)
        ");
    }
}

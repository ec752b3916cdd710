//! Filters by a bound that moves by itself: `ts > now() - interval '1 hour'`.
//!
//! The filter is a factor of a product, `F(x) = [x > b]`: one row for a value above the bound, none for
//! others. When the bound moved from b⁻ to b⁺,
//! ```text
//! ΔF(x) = [x > b⁺] − [x > b⁻] = − [b⁻ < x ≤ b⁺] where it rose, + [b⁺ < x ≤ b⁻] where it fell
//! ```
//! and for `x < b` the signs are reversed. With this delta the expansion of [`super::join`]
//! holds: changed rows are filtered by b⁺, and the rows between the bounds leave or enter. Rows
//! whose value is NULL are on neither side.
//!
//! State: the previous bound. Cost: the rows between the bounds, with an index on the value.
//! The bound need not be monotonic: `now() - interval '1 month'` is not.

use crate::canary;
use crate::plan::{BlockScan, Image, Source};
use crate::sql::names::{WEIGHT, column, delta as delta_name};
use crate::sql::{Printed, render_over};
use crate::tree::Side;

/// The condition that holds for the values that the filter keeps now.
pub(crate) fn state(scan: &BlockScan, bound: &Image, printed: &Printed) -> Option<String> {
    let BlockScan::Bound {
        value, operator, ..
    } = scan
    else {
        return None;
    };
    let value = render_over(value, printed);
    Some(format!("(({value}) {operator} ({}))", bound.opaque.query))
}

/// The condition that holds for the values over which the bound has passed; `holds` is the comparison with a bound.
pub(super) fn passed(side: Side, moved: &str, holds: impl Fn(&str) -> String) -> String {
    let (inner, outer) = match side {
        Side::Above => ("min", "max"),
        Side::Below => ("max", "min"),
    };
    let passes = |end: &str| holds(&format!("(SELECT {end}({}) FROM {moved})", column(0)));
    let condition = format!("({} AND NOT {})", passes(inner), passes(outer));
    match canary::active(canary::BOUND_STANDS_STILL) {
        true => format!("({condition} AND false)"),
        false => condition,
    }
}

/// What stands in FROM for the filter's delta, a row with a weight, and the condition that holds for the
/// values which the bound passed over.
pub(crate) fn delta(
    scan: &BlockScan,
    source: Source,
    printed: &Printed,
) -> Option<(String, String)> {
    let BlockScan::Bound {
        value,
        operator,
        side,
        ..
    } = scan
    else {
        return None;
    };
    let (moved, bound) = (delta_name(source), column(0));
    // The higher of the two bounds is the new one, with weight 1, where it rose.
    let sign = match side {
        Side::Above => "- ",
        Side::Below => "",
    };
    let item =
        format!("(SELECT {sign}{WEIGHT} AS {WEIGHT} FROM {moved} ORDER BY {bound} DESC LIMIT 1)");
    let value = render_over(value, printed);
    let holds = |bound: &str| format!("(({value}) {operator} {bound})");
    let condition = passed(*side, &moved, holds);
    Some((item, condition))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::operators::testing::delta;
    use crate::plan::Source;
    use crate::tree::Relation;
    use crate::tree::testing::{bounded, opaque, project, scan};

    fn recent(operator: &str) -> Relation {
        let bound = opaque("SELECT (now() - '1h')", &[(21, "bound")], &[]);
        let rows = bounded(scan(1, 10, "r"), "$12", operator, bound);
        project(rows, &[(31, "x", "$11")])
    }

    #[test]
    fn changed_rows_are_compared_with_the_new_bound() {
        assert_snapshot!(delta(recent(">"), &[Source::Table(1)]), @r"
        SELECT s0.a1 AS c0, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0, (SELECT 1 AS one) AS s1
        WHERE ((s0.a2) > (SELECT (now() - '1h')))
        ");
    }

    #[test]
    fn rows_leave_when_a_lower_bound_rises_and_come_when_an_upper_bound_does() {
        assert_snapshot!(delta(recent(">"), &[Source::Image(0)]), @r"
        SELECT s0.a AS c0, s1.__pgt_w AS __pgt_w
        FROM r AS s0, (SELECT - __pgt_w AS __pgt_w FROM __pgt_delta_image0 ORDER BY c0 DESC LIMIT 1) AS s1
        WHERE (((s0.b) > (SELECT min(c0) FROM __pgt_delta_image0)) AND NOT ((s0.b) > (SELECT max(c0) FROM __pgt_delta_image0)))
        ");
        assert_snapshot!(delta(recent("<="), &[Source::Image(0)]), @r"
        SELECT s0.a AS c0, s1.__pgt_w AS __pgt_w
        FROM r AS s0, (SELECT __pgt_w AS __pgt_w FROM __pgt_delta_image0 ORDER BY c0 DESC LIMIT 1) AS s1
        WHERE (((s0.b) <= (SELECT max(c0) FROM __pgt_delta_image0)) AND NOT ((s0.b) <= (SELECT min(c0) FROM __pgt_delta_image0)))
        ");
    }

    #[test]
    fn rows_that_change_while_the_bound_moves_are_corrected_once() {
        let both = delta(recent(">"), &[Source::Table(1), Source::Image(0)]);
        assert_eq!(both.matches("UNION ALL").count(), 2, "{both}");
        assert_eq!(
            both.matches("- (s0.__pgt_w::bigint * s1.__pgt_w)").count(),
            1
        );
    }
}

//! Tables with rows hidden by row security. With p, the condition of the policies on a row:
//! ```text
//! V = σp(R)        ΔV = σp(ΔR)        V⁺ is what the server shows of R
//! ```
//! The server adds p to R for the role that runs a statement. Captured changes have all rows, so p is added
//! here, in a subquery into which the planner pushes no condition (`OFFSET 0`): no function of the query ever
//! sees a row that is hidden from its owner.
//!
//! State: none. Cost: |ΔR|. When p changes, so does the plan.

use crate::canary;
use crate::sql::names;
use crate::tree::Scan;

/// What stands in FROM for the delta of a table, before its alias.
pub(super) fn delta(table: &Scan, delta: String) -> String {
    match table.visible.condition() {
        Some(condition) if !canary::active(canary::POLICY_FORGOTTEN) => {
            let row = names::CHANGED_ROW;
            format!("(SELECT {row}.* FROM {delta} AS {row} WHERE ({condition}) OFFSET 0)")
        }
        _ => delta,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::operators::testing::delta;
    use crate::plan::{Source, compile};
    use crate::tree::testing::{condition, equal, filter, join, project, scan};
    use crate::tree::{Relation, Visible};

    /// `r`, of which only rows with `b > 0` are seen.
    fn secured() -> Relation {
        let Relation::Scan(mut table) = scan(1, 10, "r") else {
            unreachable!("a scan is a scan");
        };
        table.visible = Visible::where_true("d.a2 > 0");
        Relation::Scan(table)
    }

    #[test]
    fn captured_rows_are_looked_at_by_the_query_behind_a_barrier() {
        let rows = filter(secured(), vec![condition("leaks($11)")]);
        let query = project(rows, &[(31, "x", "$11")]);
        assert_snapshot!(delta(query, &[Source::Table(1)]), @r"
        SELECT s0.a1 AS c0, s0.__pgt_w AS __pgt_w
        FROM (SELECT d.* FROM __pgt_delta_1 AS d WHERE (d.a2 > 0) OFFSET 0) AS s0
        WHERE (leaks(s0.a1))
        ");
    }

    #[test]
    fn the_table_itself_is_left_to_the_server() {
        let pairs = join(secured(), scan(2, 20, "s"), vec![equal("$11", "$21")]);
        let query = project(pairs, &[(31, "x", "$12")]);
        assert_snapshot!(delta(query, &[Source::Table(2)]), @r"
        SELECT s0.b AS c0, s1.__pgt_w AS __pgt_w
        FROM r AS s0, __pgt_delta_2 AS s1
        WHERE ((s0.a = s1.a1))
        ");
    }

    #[test]
    fn other_policies_make_another_plan_and_none_the_same() {
        let of = |relation| compile(relation).expect("supported").fingerprint(&());
        let query = |rows| project(rows, &[(31, "x", "$11")]);
        let Relation::Scan(mut other) = secured() else {
            unreachable!("a scan is a scan");
        };
        other.visible = Visible::where_true("d.a2 > 1");
        let plain = of(query(scan(1, 10, "r")));
        assert_ne!(of(query(secured())), of(query(Relation::Scan(other))));
        assert_ne!(of(query(secured())), plain);
    }
}

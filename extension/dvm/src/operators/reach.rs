//! Windows over a whole input, at a cost proportional to the rows whose results change.
//!
//! All calls have one order, whose first key has values `o`. A changed row affects the results of rows with equal
//! `o`, of the next rows on either side (`lag`, `lead`, frames of a fixed number of ROWS), or of all later rows (running
//! totals, row numbers). Let S be the stored rows with their results, A the affected intervals of `o`, and C wider
//! intervals around them that contain the frames of A's rows:
//! ```text
//! W(R)  = f(R)        R⁺|C = S|C ⊎ ΔR        ΔW = f(R⁺|C)|A − S|A
//! ```
//! Intervals whose C meet are merged. Where a result depends on all rows before it, A extends to the end, and
//! ```text
//! f(R) = e ⊕ f(R|C)   e = the result of the last row before C, ⊕ as Carry says
//! ```
//! A and C are counted off in S, to its ends if it has too few rows: the rows on either side of all
//! changes are the same before and after, and between two changes the nearer one counts.
//!
//! State: input rows and results, with an index on `o`; sources are not read again. Cost: the rows of C: those
//! whose results change, with their peers in `o`. If a value of `o` is NULL, [`super::partition`] recomputes everything.

use std::collections::BTreeSet;

use crate::canary;
use crate::plan::{Node, Order, Source};
use crate::sql::names::{CHANGED, REGIONS, ROWS, WEIGHT, accumulator, column};
use crate::sql::{render_over, state_table};
use crate::tree::{Ahead, Carry, Expr, WindowCall};

use super::block_columns::names_under;
use super::join;
use super::statement::{BlockDelta, Context};

/// What of a value is between two bounds.
fn between(order: &Order, value: &str, low: &str, high: &str) -> String {
    let (from, until) = (order.compare.from(), order.compare.until());
    format!("{value} {from} {low} AND {value} {until} {high}")
}

/// The changed rows `c0`… of the input, with their weights.
pub fn changes(context: Context<'_>, node: &Node, changed: &BTreeSet<Source>) -> BlockDelta {
    join::differentiate(context, &node.block, changed, &column)
}

/// The intervals that the rows in [`CHANGED`] reach: `n`, the bounds `low` and `high` of A, `start` and `stop` of C,
/// and what is carried (`e0`…) for each call. None, where a value is NULL.
pub fn regions(context: Context<'_>, node: &Node, order: &Order, calls: &[WindowCall]) -> String {
    let state = state_table(context.state_prefix, node.id);
    let (value, changed) = (accumulator(order.column), column(order.column));
    let by = &order.compare;
    let (forward, backward) = (by.forward(), by.backward());
    let cut = canary::active(canary::REACH_CUT_SHORT);
    let end = |sort: &str| {
        format!("(SELECT d.{changed} FROM {CHANGED} AS d ORDER BY d.{changed} {sort} LIMIT 1)")
    };
    let (head, tail) = (end(forward), end(backward));
    // The value so many stored rows before or after another; where there are fewer, the first or last of all.
    let away = |rows: u64, is_back: bool, value_of: &str| {
        if rows == 0 || cut {
            return value_of.to_owned();
        }
        let (compare, near, far, end) = match is_back {
            true => (by.before(), backward, forward, &head),
            false => (by.after(), forward, backward, &tail),
        };
        let there = |bound: &str| {
            format!(
                "SELECT s.{value} FROM {state} AS s WHERE s.{value} {compare} {bound} ORDER BY s.{value}"
            )
        };
        format!(
            "coalesce(({} {near} LIMIT 1 OFFSET {}), ({} {far} LIMIT 1), {end})",
            there(value_of),
            rows - 1,
            there(end)
        )
    };
    // The bounds of A are values, so that all rows equal to them are in it: C is counted from there.
    let low = away(order.back, true, "v.o");
    let start = away(order.before, true, "f.low");
    let nullable = (node.block.columns.get(order.column)).is_none_or(|c| c.nullable);
    let no_nulls = match nullable {
        true => format!(
            "\nWHERE NOT EXISTS (SELECT 1 FROM {CHANGED} AS d WHERE d.{changed} IS NULL) \
             AND NOT EXISTS (SELECT 1 FROM {state} AS s WHERE s.{value} IS NULL)"
        ),
        false => String::new(),
    };
    let last_before = |bound: &str, compare: &str| {
        format!(
            "SELECT s.{value} FROM {state} AS s WHERE s.{value} {compare} {bound} ORDER BY s.{value} {backward} LIMIT 1"
        )
    };
    let Some(ahead) = order.ahead else {
        let carried: String = (calls.iter().enumerate())
            .filter_map(|(number, call)| earlier(node, &state, order, number, call))
            .collect();
        return format!(
            "SELECT CAST(1 AS bigint) AS n, h.start, h.low, h.high, h.high AS stop, (h.prior IS NOT NULL) AS is_after{carried}\n\
             FROM (SELECT g.start, g.low, g.high, ({}) AS prior\n\
             FROM (SELECT {start} AS start, f.low, f.high\n\
             FROM (SELECT {low} AS low, coalesce(({}), {tail}) AS high\n\
             FROM (SELECT {head} AS o) AS v{no_nulls}\nOFFSET 0) AS f\nOFFSET 0) AS g\nOFFSET 0) AS h",
            last_before("g.start", by.before()),
            last_before(&tail, by.after()),
        );
    };
    let high = away(ahead, false, "v.o");
    let stop = away(order.back, false, "f.high");
    format!(
        "SELECT q.n, q.start, q.low, q.high, q.stop\n\
         FROM (SELECT i.n, i.is_first, i.start, i.low, last_value(i.high) OVER w AS high, last_value(i.stop) OVER w AS stop\n\
         FROM (SELECT p.o, p.start, p.low, p.high, p.stop, p.is_first, count(*) FILTER (WHERE p.is_first) OVER (ORDER BY p.o {forward}) AS n\n\
         FROM (SELECT r.o, r.start, r.low, r.high, r.stop, \
         coalesce(r.start {} lag(r.stop) OVER (ORDER BY r.o {forward}), true) AS is_first\n\
         FROM (SELECT f.o, {start} AS start, f.low, f.high, {stop} AS stop\n\
         FROM (SELECT v.o, {low} AS low, {high} AS high\n\
         FROM (SELECT DISTINCT d.{changed} AS o FROM {CHANGED} AS d) AS v{no_nulls}\nOFFSET 0) AS f\nOFFSET 0) AS r) AS p) AS i\n\
         WINDOW w AS (PARTITION BY i.n ORDER BY i.o {forward} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS q\n\
         WHERE q.is_first",
        by.after(),
    )
}

/// What a call carries into the rows from `h.start` on, if it does.
fn earlier(
    node: &Node,
    state: &str,
    order: &Order,
    number: usize,
    call: &WindowCall,
) -> Option<String> {
    let Ahead::All(carry) = &call.reach.as_ref()?.ahead else {
        return None;
    };
    let columns = &node.block.columns;
    let result = accumulator(columns.len() + number);
    let equality = &columns.get(order.column)?.ty.equality;
    let peers = format!(
        "FROM {state} AS s WHERE s.{} {equality} h.prior",
        accumulator(order.column)
    );
    let value = match carry {
        Carry::Count => format!("SELECT max(s.{result}) {peers}"),
        Carry::Rank => format!(
            "SELECT s.{result} - 1 + count(*) {peers} GROUP BY s.{result} ORDER BY s.{result} DESC LIMIT 1"
        ),
        Carry::Operator(_) | Carry::Function(_) | Carry::First => {
            let printed = names_under(node, "s", &accumulator);
            let keys: Vec<String> = (call.order.iter())
                .map(|key| key.render(|expr| render_over(expr, &printed)))
                .collect();
            format!(
                "SELECT p.e FROM (SELECT s.{result} AS e, row_number() OVER (ORDER BY {}) AS n {peers}) AS p \
                 ORDER BY p.n DESC LIMIT 1",
                keys.join(", ")
            )
        }
    };
    Some(format!(", ({value}) AS e{number}"))
}

/// The stored rows of A, each behind its place.
pub fn stored(context: Context<'_>, node: &Node, order: &Order) -> String {
    let names: Vec<String> = (0..node.columns().len())
        .map(|position| format!("s.{}", accumulator(position)))
        .collect();
    let value = format!("s.{}", accumulator(order.column));
    format!(
        "SELECT s.ctid, {}\nFROM {REGIONS} AS t, {} AS s\nWHERE {}",
        names.join(", "),
        state_table(context.state_prefix, node.id),
        between(order, &value, "t.low", "t.high")
    )
}

/// The input rows of C as they were, and what changed of them: `n`, `a0`…, and a weight.
pub fn rows(context: Context<'_>, node: &Node, order: &Order) -> String {
    let width = node.block.columns.len();
    let old: String = (0..width)
        .map(|i| format!("s.{0} AS {0}, ", accumulator(i)))
        .collect();
    let new: String = (0..width)
        .map(|i| format!("d.{} AS {}, ", column(i), accumulator(i)))
        .collect();
    let is_old = between(
        order,
        &format!("s.{}", accumulator(order.column)),
        "t.start",
        "t.stop",
    );
    let is_new = between(
        order,
        &format!("d.{}", column(order.column)),
        "t.start",
        "t.stop",
    );
    format!(
        "SELECT t.n AS n, {old}CAST(1 AS bigint) AS {WEIGHT}\nFROM {REGIONS} AS t, {} AS s\nWHERE {is_old}\n\
         UNION ALL SELECT t.n AS n, {new}CAST(d.{WEIGHT} AS bigint) AS {WEIGHT}\nFROM {REGIONS} AS t, {CHANGED} AS d\nWHERE {is_new}",
        state_table(context.state_prefix, node.id),
    )
}

/// The rows of A with their results, from those of C in [`ROWS`]: `c0`….
pub fn results(node: &Node, order: &Order, calls: &[WindowCall]) -> String {
    let columns = &node.block.columns;
    let width = columns.len();
    let printed = names_under(node, "r", &accumulator);
    let print = |expr: &Expr| render_over(expr, &printed);
    let by = ["r.n".to_owned()];
    let mut inner: Vec<String> = (0..width)
        .map(|i| format!("r.{0} AS {0}", accumulator(i)))
        .collect();
    let mut outer: Vec<String> = (0..width)
        .map(|i| format!("q.{} AS {}", accumulator(i), column(i)))
        .collect();
    for (number, call) in calls.iter().enumerate() {
        let name = accumulator(width + number);
        inner.push(format!("{} AS {name}", call.render(&by, print)));
        let result = format!("q.{name}");
        outer.push(format!(
            "{} AS {}",
            carried(call, number, result),
            column(width + number)
        ));
    }
    let value = format!("q.{}", accumulator(order.column));
    format!(
        "SELECT {}\nFROM {REGIONS} AS t, (SELECT r.n AS n, {}\nFROM {ROWS} AS r) AS q\nWHERE t.n = q.n AND {}",
        outer.join(", "),
        inner.join(", "),
        between(order, &value, "t.low", "t.high")
    )
}

/// The result of a call with what is carried into it.
fn carried(call: &WindowCall, number: usize, later: String) -> String {
    let carry = match call.reach.as_ref().map(|reach| &reach.ahead) {
        Some(Ahead::All(carry)) if !canary::active(canary::CARRY_FORGOTTEN) => carry,
        _ => return later,
    };
    let earlier = format!("t.e{number}");
    match carry {
        Carry::Count | Carry::Rank => format!("coalesce({earlier}, 0) + {later}"),
        Carry::Operator(operator) => format!(
            "CASE WHEN {earlier} IS NULL THEN {later} WHEN {later} IS NULL THEN {earlier} ELSE {earlier} {operator} {later} END"
        ),
        Carry::Function(name) => format!("{name}({earlier}, {later})"),
        Carry::First => format!("CASE WHEN t.is_after THEN {earlier} ELSE {later} END"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use insta::assert_snapshot;

    use super::*;
    use crate::operators::testing::context;
    use crate::plan::{Partition, compile};
    use crate::tree::testing::{column, expr, integer, keyed_scan, scan, sort_key};
    use crate::tree::{ColumnId, Comparisons, Reach, Relation, Ties};

    fn call(function: &str, order: &[&str], frame: &str, back: u64, ahead: Ahead) -> WindowCall {
        let operator = |name: &str| format!("OPERATOR(pg_catalog.{name})");
        WindowCall {
            column: column(31, "w", integer()),
            function: expr(function),
            arguments: vec![expr("$12")],
            partition: Vec::new(),
            order: order
                .iter()
                .map(|key| sort_key(key, "ASC NULLS LAST"))
                .collect(),
            frame: frame.into(),
            ties: Ties::Rows,
            reach: Some(Reach {
                order: Comparisons {
                    descending: false,
                    less: operator("<"),
                    at_most: operator("<="),
                    at_least: operator(">="),
                    greater: operator(">"),
                },
                back,
                ahead,
            }),
        }
    }

    fn windowed(input: Relation, partition: &[u32], calls: Vec<WindowCall>) -> Relation {
        Relation::Window {
            input: Box::new(input),
            partition: partition.iter().map(|id| ColumnId(*id)).collect(),
            calls,
        }
    }

    /// The statements after a change, from its reach to the results.
    fn statements(calls: Vec<WindowCall>) -> String {
        let plan = compile(windowed(keyed_scan(1, 10, "k"), &[], calls)).expect("supported");
        let context = context(&plan);
        let node = &plan.nodes[0];
        let Some(Partition::Window {
            calls,
            order: Some(order),
        }) = node.partition()
        else {
            panic!("changes reach everything:\n{plan}");
        };
        let delta = changes(context, node, &BTreeSet::from([Source::Table(1)]));
        [
            delta.terms.expect("changed"),
            regions(context, node, order, calls),
            stored(context, node, order),
            rows(context, node, order),
            results(node, order, calls),
        ]
        .join("\n\n")
    }

    #[test]
    fn a_running_total_is_carried_to_the_end() {
        let total = call(
            "sum($12)",
            &["$11"],
            "ROWS UNBOUNDED PRECEDING",
            0,
            Ahead::All(Carry::Operator("+".into())),
        );
        assert_snapshot!(statements(vec![total]), @r"
        SELECT s0.a1 AS c0, s0.a2 AS c1, s0.a3 AS c2, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0

        SELECT CAST(1 AS bigint) AS n, h.start, h.low, h.high, h.high AS stop, (h.prior IS NOT NULL) AS is_after, (SELECT p.e FROM (SELECT s.a3 AS e, row_number() OVER (ORDER BY s.a0 ASC NULLS LAST) AS n FROM st_0 AS s WHERE s.a0 = h.prior) AS p ORDER BY p.n DESC LIMIT 1) AS e0
        FROM (SELECT g.start, g.low, g.high, (SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.<) g.start ORDER BY s.a0 DESC NULLS FIRST LIMIT 1) AS prior
        FROM (SELECT f.low AS start, f.low, f.high
        FROM (SELECT v.o AS low, coalesce((SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.>) (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1) ORDER BY s.a0 DESC NULLS FIRST LIMIT 1), (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1)) AS high
        FROM (SELECT (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 ASC NULLS LAST LIMIT 1) AS o) AS v
        OFFSET 0) AS f
        OFFSET 0) AS g
        OFFSET 0) AS h

        SELECT s.ctid, s.a0, s.a1, s.a2, s.a3
        FROM __pgt_regions AS t, st_0 AS s
        WHERE s.a0 OPERATOR(pg_catalog.>=) t.low AND s.a0 OPERATOR(pg_catalog.<=) t.high

        SELECT t.n AS n, s.a0 AS a0, s.a1 AS a1, s.a2 AS a2, CAST(1 AS bigint) AS __pgt_w
        FROM __pgt_regions AS t, st_0 AS s
        WHERE s.a0 OPERATOR(pg_catalog.>=) t.start AND s.a0 OPERATOR(pg_catalog.<=) t.stop
        UNION ALL SELECT t.n AS n, d.c0 AS a0, d.c1 AS a1, d.c2 AS a2, CAST(d.__pgt_w AS bigint) AS __pgt_w
        FROM __pgt_regions AS t, __pgt_changed AS d
        WHERE d.c0 OPERATOR(pg_catalog.>=) t.start AND d.c0 OPERATOR(pg_catalog.<=) t.stop

        SELECT q.a0 AS c0, q.a1 AS c1, q.a2 AS c2, CASE WHEN t.e0 IS NULL THEN q.a3 WHEN q.a3 IS NULL THEN t.e0 ELSE t.e0 + q.a3 END AS c3
        FROM __pgt_regions AS t, (SELECT r.n AS n, r.a0 AS a0, r.a1 AS a1, r.a2 AS a2, sum(r.a1) OVER (PARTITION BY r.n ORDER BY r.a0 ASC NULLS LAST ROWS UNBOUNDED PRECEDING) AS a3
        FROM __pgt_rows AS r) AS q
        WHERE t.n = q.n AND q.a0 OPERATOR(pg_catalog.>=) t.low AND q.a0 OPERATOR(pg_catalog.<=) t.high
        ");
    }

    #[test]
    fn neighbours_are_reached_and_no_more() {
        let calls = vec![
            call("lag($12)", &["$11"], "", 0, Ahead::Rows(1)),
            call("lead($12, 2)", &["$11"], "", 2, Ahead::Rows(0)),
        ];
        assert_snapshot!(statements(calls), @r"
        SELECT s0.a1 AS c0, s0.a2 AS c1, s0.a3 AS c2, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0

        SELECT q.n, q.start, q.low, q.high, q.stop
        FROM (SELECT i.n, i.is_first, i.start, i.low, last_value(i.high) OVER w AS high, last_value(i.stop) OVER w AS stop
        FROM (SELECT p.o, p.start, p.low, p.high, p.stop, p.is_first, count(*) FILTER (WHERE p.is_first) OVER (ORDER BY p.o ASC NULLS LAST) AS n
        FROM (SELECT r.o, r.start, r.low, r.high, r.stop, coalesce(r.start OPERATOR(pg_catalog.>) lag(r.stop) OVER (ORDER BY r.o ASC NULLS LAST), true) AS is_first
        FROM (SELECT f.o, coalesce((SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.<) f.low ORDER BY s.a0 DESC NULLS FIRST LIMIT 1 OFFSET 0), (SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.<) (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 ASC NULLS LAST LIMIT 1) ORDER BY s.a0 ASC NULLS LAST LIMIT 1), (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 ASC NULLS LAST LIMIT 1)) AS start, f.low, f.high, coalesce((SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.>) f.high ORDER BY s.a0 ASC NULLS LAST LIMIT 1 OFFSET 1), (SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.>) (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1) ORDER BY s.a0 DESC NULLS FIRST LIMIT 1), (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1)) AS stop
        FROM (SELECT v.o, coalesce((SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.<) v.o ORDER BY s.a0 DESC NULLS FIRST LIMIT 1 OFFSET 1), (SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.<) (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 ASC NULLS LAST LIMIT 1) ORDER BY s.a0 ASC NULLS LAST LIMIT 1), (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 ASC NULLS LAST LIMIT 1)) AS low, coalesce((SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.>) v.o ORDER BY s.a0 ASC NULLS LAST LIMIT 1 OFFSET 0), (SELECT s.a0 FROM st_0 AS s WHERE s.a0 OPERATOR(pg_catalog.>) (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1) ORDER BY s.a0 DESC NULLS FIRST LIMIT 1), (SELECT d.c0 FROM __pgt_changed AS d ORDER BY d.c0 DESC NULLS FIRST LIMIT 1)) AS high
        FROM (SELECT DISTINCT d.c0 AS o FROM __pgt_changed AS d) AS v
        OFFSET 0) AS f
        OFFSET 0) AS r) AS p) AS i
        WINDOW w AS (PARTITION BY i.n ORDER BY i.o ASC NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS q
        WHERE q.is_first

        SELECT s.ctid, s.a0, s.a1, s.a2, s.a3, s.a4
        FROM __pgt_regions AS t, st_0 AS s
        WHERE s.a0 OPERATOR(pg_catalog.>=) t.low AND s.a0 OPERATOR(pg_catalog.<=) t.high

        SELECT t.n AS n, s.a0 AS a0, s.a1 AS a1, s.a2 AS a2, CAST(1 AS bigint) AS __pgt_w
        FROM __pgt_regions AS t, st_0 AS s
        WHERE s.a0 OPERATOR(pg_catalog.>=) t.start AND s.a0 OPERATOR(pg_catalog.<=) t.stop
        UNION ALL SELECT t.n AS n, d.c0 AS a0, d.c1 AS a1, d.c2 AS a2, CAST(d.__pgt_w AS bigint) AS __pgt_w
        FROM __pgt_regions AS t, __pgt_changed AS d
        WHERE d.c0 OPERATOR(pg_catalog.>=) t.start AND d.c0 OPERATOR(pg_catalog.<=) t.stop

        SELECT q.a0 AS c0, q.a1 AS c1, q.a2 AS c2, q.a3 AS c3, q.a4 AS c4
        FROM __pgt_regions AS t, (SELECT r.n AS n, r.a0 AS a0, r.a1 AS a1, r.a2 AS a2, lag(r.a1) OVER (PARTITION BY r.n ORDER BY r.a0 ASC NULLS LAST) AS a3, lead(r.a1, 2) OVER (PARTITION BY r.n ORDER BY r.a0 ASC NULLS LAST) AS a4
        FROM __pgt_rows AS r) AS q
        WHERE t.n = q.n AND q.a0 OPERATOR(pg_catalog.>=) t.low AND q.a0 OPERATOR(pg_catalog.<=) t.high
        ");
    }

    #[test]
    fn changes_reach_everything_unless_all_calls_have_one_order_and_an_end() {
        let near = || call("lag($12)", &["$11"], "", 0, Ahead::Rows(1));
        let total = || {
            call(
                "sum($12)",
                &["$11"],
                "",
                0,
                Ahead::All(Carry::Operator("+".into())),
            )
        };
        let has_end = |input: Relation, partition: &[u32], calls: Vec<WindowCall>| {
            let plan = compile(windowed(input, partition, calls)).expect("supported");
            plan.nodes[0]
                .partition()
                .is_some_and(|rule| rule.order().is_some())
        };
        let keyed = || keyed_scan(1, 10, "k");
        assert!(has_end(keyed(), &[], vec![near(), total()]));
        assert!(!has_end(keyed(), &[12], vec![near()]));
        let mut other = total();
        other.order = vec![
            sort_key("$12", "ASC NULLS LAST"),
            sort_key("$11", "ASC NULLS LAST"),
        ];
        // Each has a node of its own, the second over the first.
        assert!(has_end(keyed(), &[], vec![near(), other]));
        let mut unknown = near();
        unknown.reach = None;
        assert!(!has_end(keyed(), &[], vec![near(), unknown]));
        // Of rows that are alike it is not known which is the last, but its number is the greatest.
        let all = ["$11", "$12", "$13"];
        let carried = |carry| call("f($12)", &all, "", 0, Ahead::All(carry));
        let bag = || scan(1, 10, "r");
        assert!(!has_end(
            bag(),
            &[],
            vec![carried(Carry::Operator("+".into()))]
        ));
        assert!(has_end(bag(), &[], vec![carried(Carry::Count)]));
        assert!(has_end(
            bag(),
            &[],
            vec![call("lag($12)", &all, "", 0, Ahead::Rows(1))]
        ));
    }
}

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
    let places = Places::of(context, node, order);
    // The bounds of A are values, so that all rows equal to them are in it: C is counted from there.
    let low = places.away(order.back, true, "v.o");
    let start = places.away(order.before, true, "f.low");
    let no_nulls = match (node.block.columns.get(order.column)).is_none_or(|c| c.nullable) {
        true => places.no_nulls(),
        false => String::new(),
    };
    let (by, forward) = (&order.compare, order.compare.forward());
    let Some(ahead) = order.ahead else {
        let carried: String = (calls.iter().enumerate())
            .filter_map(|(number, call)| earlier(node, &places.state, order, number, call))
            .collect();
        let Places { head, tail, .. } = &places;
        return format!(
            "SELECT CAST(1 AS bigint) AS n, h.start, h.low, h.high, h.high AS stop, (h.prior IS NOT NULL) AS is_after{carried}\n\
             FROM (SELECT g.start, g.low, g.high, ({}) AS prior\n\
             FROM (SELECT {start} AS start, f.low, f.high\n\
             FROM (SELECT {low} AS low, coalesce(({}), {tail}) AS high\n\
             FROM (SELECT {head} AS o) AS v{no_nulls}\nOFFSET 0) AS f\nOFFSET 0) AS g\nOFFSET 0) AS h",
            places.last(by.before(), "g.start"),
            places.last(by.after(), tail),
        );
    };
    let high = places.away(ahead, false, "v.o");
    let stop = places.away(order.back, false, "f.high");
    format!(
        "SELECT q.n, q.start, q.low, q.high, q.stop\n\
         FROM (SELECT i.n, i.is_first, i.start, i.low, last_value(i.high) OVER w AS high, last_value(i.stop) OVER w AS stop\n\
         FROM (SELECT p.o, p.start, p.low, p.high, p.stop, p.is_first, count(*) FILTER (WHERE p.is_first) OVER (ORDER BY p.o {forward}) AS n\n\
         FROM (SELECT r.o, r.start, r.low, r.high, r.stop, \
         coalesce(r.start {} lag(r.stop) OVER (ORDER BY r.o {forward}), true) AS is_first\n\
         FROM (SELECT f.o, {start} AS start, f.low, f.high, {stop} AS stop\n\
         FROM (SELECT v.o, {low} AS low, {high} AS high\n\
         FROM (SELECT DISTINCT d.{} AS o FROM {CHANGED} AS d) AS v{no_nulls}\nOFFSET 0) AS f\nOFFSET 0) AS r) AS p) AS i\n\
         WINDOW w AS (PARTITION BY i.n ORDER BY i.o {forward} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS q\n\
         WHERE q.is_first",
        by.after(),
        places.changed,
    )
}

/// Places among the stored rows.
struct Places<'a> {
    order: &'a Order,
    state: String,
    /// The value of the order, of a stored row and of a changed one.
    value: String,
    changed: String,
    /// The first and the last value of the changed rows.
    head: String,
    tail: String,
}

impl<'a> Places<'a> {
    fn of(context: Context<'_>, node: &Node, order: &'a Order) -> Self {
        let changed = column(order.column);
        let end = |sort: &str| {
            format!("(SELECT d.{changed} FROM {CHANGED} AS d ORDER BY d.{changed} {sort} LIMIT 1)")
        };
        Places {
            order,
            state: state_table(context.state_prefix, node.id),
            value: accumulator(order.column),
            head: end(order.compare.forward()),
            tail: end(order.compare.backward()),
            changed,
        }
    }

    /// The stored values on one side of a bound, to be sorted.
    fn beyond(&self, compare: &str, bound: &str) -> String {
        let Places { state, value, .. } = self;
        format!(
            "SELECT s.{value} FROM {state} AS s WHERE s.{value} {compare} {bound} ORDER BY s.{value}"
        )
    }

    /// The last stored value on one side of a bound.
    fn last(&self, compare: &str, bound: &str) -> String {
        let last = self.order.compare.backward();
        format!("{} {last} LIMIT 1", self.beyond(compare, bound))
    }

    /// The value so many stored rows before or after another; where there are fewer, the first or last of all.
    fn away(&self, rows: u64, is_back: bool, value: &str) -> String {
        if rows == 0 || canary::active(canary::REACH_CUT_SHORT) {
            return value.to_owned();
        }
        let by = &self.order.compare;
        let (compare, near, far, end) = match is_back {
            true => (by.before(), by.backward(), by.forward(), &self.head),
            false => (by.after(), by.forward(), by.backward(), &self.tail),
        };
        format!(
            "coalesce(({} {near} LIMIT 1 OFFSET {}), ({} {far} LIMIT 1), {end})",
            self.beyond(compare, value),
            rows - 1,
            self.beyond(compare, end)
        )
    }

    /// The condition that no value is NULL.
    fn no_nulls(&self) -> String {
        let Places {
            state,
            value,
            changed,
            ..
        } = self;
        format!(
            "\nWHERE NOT EXISTS (SELECT 1 FROM {CHANGED} AS d WHERE d.{changed} IS NULL) \
             AND NOT EXISTS (SELECT 1 FROM {state} AS s WHERE s.{value} IS NULL)"
        )
    }
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
mod tests;

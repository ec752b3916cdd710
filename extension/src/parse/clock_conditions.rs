//! Conditions on the clock as values: whatever compares columns with one value that follows the clock.
//!
//! | written | changes for |
//! |---|---|
//! | `due < now()`, `now() - ts < interval '1 day'` | values between the bounds |
//! | `day = CURRENT_DATE`, `day <> CURRENT_DATE` | values at the bounds |
//! | `valid @> now()`, `ts < now() - ttl`, `day IN (CURRENT_DATE, CURRENT_DATE - 1)` | rows for which it does |
//! | `extract(day FROM now() - ts)`, `width_bucket(…)`: a value that changes in steps | rows for which it does |
//!
//! Around them, `AND`, `OR`, `NOT`, `IS TRUE` and CASE are expressions like any other. Where several moments stand in one
//! condition, `CURRENT_DATE` and the like are written as what they are of `now()`.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag::{self, T_DistinctExpr, T_FuncExpr, T_OpExpr, T_ScalarArrayOpExpr};
use pgtrickle_dvm::tree::Crossing;

use super::clock::{TimeFilter, follows_clock, follows_days, plain_filter, reads_start};
use super::clock_forms::{age, age_of_today, comparison};
use super::facts::is_image_equality;
use crate::pg::node::{self, Node, Walk};
use crate::pg::{constant, make_node, types};

/// What is looked at as a condition or value.
const CALLS: [NodeTag; 4] = [T_OpExpr, T_FuncExpr, T_ScalarArrayOpExpr, T_DistinctExpr];

/// A condition on the clock, or a value that changes with it in steps.
pub(super) struct ClockCondition {
    /// The condition or value.
    pub expr: Node,
    /// What in it follows the clock, in one or several places.
    pub bound: Node,
    /// How rows are found for which it has changed.
    pub found_by: Option<(Node, Crossing)>,
}

/// The flattened expression as a condition on the clock, if it is one that can be followed. Nodes that are `apart` are
/// bound for themselves, and what is in them is not looked at: subqueries, and what a grouping computes.
pub(super) fn condition(expr: Node, apart: &dyn Fn(Node) -> bool) -> Option<ClockCondition> {
    // Of a placeholder it is known only where it stands what it means.
    let is_meant = CALLS.contains(&expr.tag())
        && (expr.type_oid() == pg_sys::BOOLOID || changes_in_steps(expr))
        && !types::returns_set(expr)
        && !expr.contains::<pg_sys::CaseTestExpr>();
    if !is_meant {
        return None;
    }
    let expr = replaced(expr, apart, &age_of_today);
    if expr.type_oid() != pg_sys::BOOLOID {
        return moves(expr, apart).then(|| looked_at(expr, apart)).flatten();
    }
    let plain = age(expr).unwrap_or(expr);
    let compared = plain_filter(plain).map(|filter| (plain, filter));
    let compared = compared.or_else(|| Some((expr, negated(expr)?)));
    let is_of_one = |filter: &TimeFilter| found_in(filter.value, apart, &reads_start).is_empty();
    if let Some((expr, filter)) = compared.filter(|(_, filter)| is_of_one(filter)) {
        return Some(ordered(expr, &filter));
    }
    looked_at(expr, apart)
}

/// One that is computed for each row.
fn looked_at(expr: Node, apart: &dyn Fn(Node) -> bool) -> Option<ClockCondition> {
    let (expr, bound) = match only_clock(expr, apart) {
        Some(bound) => (expr, bound),
        None => {
            let expr = replaced(expr, apart, &in_moments);
            (expr, only_clock(expr, apart)?)
        }
    };
    Some(ClockCondition {
        expr,
        bound,
        found_by: None,
    })
}

/// Whether an expression that is no condition has few values, so that most rows keep theirs as time goes on. Equal
/// ones look alike.
fn changes_in_steps(expr: Node) -> bool {
    const STEPS: [&str; 5] = ["floor", "ceil", "ceiling", "round", "trunc"];
    let type_oid = expr.type_oid();
    let is_whole = [
        pg_sys::INT2OID,
        pg_sys::INT4OID,
        pg_sys::INT8OID,
        pg_sys::DATEOID,
        pg_sys::TEXTOID,
    ];
    if is_whole.contains(&type_oid) {
        return is_image_equality(type_oid, expr.typmod(), expr.collation());
    }
    let Some(call) = expr.cast::<pg_sys::FuncExpr>() else {
        return false;
    };
    let name = types::function_name(call.funcid);
    types::is_builtin(call.funcid)
        && (STEPS.contains(&name.as_str()) || cuts_to_minutes(&call, &name))
}

/// Whether a function cuts off what is less than a minute.
fn cuts_to_minutes(call: &pg_sys::FuncExpr, name: &str) -> bool {
    const FINE: [&str; 5] = ["second", "millisecond", "microsecond", "epoch", "julian"];
    let unit = node::list(call.args).first().copied();
    let unit = unit
        .and_then(constant::text)
        .map(|unit| unit.to_lowercase());
    let is_named = match name {
        "extract" | "date_part" => true,
        // Intervals of different units are equal.
        "date_trunc" => call.funcresulttype != pg_sys::INTERVALOID,
        _ => false,
    };
    is_named && unit.is_some_and(|unit| !FINE.iter().any(|fine| unit.starts_with(fine)))
}

/// Whether an expression reads the clock other than in conditions and values of days, which are followed by themselves.
fn moves(expr: Node, apart: &dyn Fn(Node) -> bool) -> bool {
    let mut moves = false;
    expr.walk(&mut |node| {
        let is_condition = || {
            CALLS.contains(&node.tag())
                && node.type_oid() == pg_sys::BOOLOID
                && condition(node, apart).is_some()
        };
        if apart(node) || follows_days(node) || is_condition() {
            return Walk::Skip;
        }
        moves |= reads_start(node);
        if moves { Walk::Stop } else { Walk::Descend }
    });
    moves
}

/// What a form of the clock is of `now()`.
fn in_moments(node: Node) -> Option<Node> {
    use pg_sys::SQLValueFunctionOp as Op;
    if !reads_start(node) {
        return None;
    }
    let now = make_node::make_call(pg_sys::F_NOW, pg_sys::TIMESTAMPTZOID, &[])?;
    let Some(written) = node.cast::<pg_sys::SQLValueFunction>() else {
        return Some(now);
    };
    match written.op {
        Op::SVFOP_CURRENT_DATE => {
            make_node::make_call(pg_sys::F_DATE_TIMESTAMPTZ, pg_sys::DATEOID, &[now])
        }
        Op::SVFOP_LOCALTIMESTAMP => {
            let function = pg_sys::F_TIMESTAMP_TIMESTAMPTZ;
            make_node::make_call(function, pg_sys::TIMESTAMPOID, &[now])
        }
        Op::SVFOP_CURRENT_TIMESTAMP => Some(now),
        _ => None,
    }
}

fn ordered(expr: Node, filter: &TimeFilter) -> ClockCondition {
    let crossing = filter.side.map_or(Crossing::At, Crossing::Between);
    ClockCondition {
        expr,
        bound: filter.bound,
        found_by: Some((filter.value, crossing)),
    }
}

/// The comparison of which `<>` is the negation.
fn negated(expr: Node) -> Option<TimeFilter> {
    let (operator, sides) = comparison(expr)?;
    let negator = types::negator(operator)?;
    let filter = make_node::make_condition(negator, sides, pg_sys::InvalidOid)?;
    plain_filter(filter).filter(|filter| filter.side.is_none())
}

impl ClockCondition {
    /// The condition with another node in the place of what follows the clock.
    pub fn with_bound(&self, bound: Node, apart: &dyn Fn(Node) -> bool) -> Node {
        let other = |node: Node| node.same_as(self.bound).then_some(bound);
        replaced(self.expr, apart, &other)
    }
}

fn replaced(
    expr: Node,
    apart: &dyn Fn(Node) -> bool,
    other: &dyn Fn(Node) -> Option<Node>,
) -> Node {
    expr.replace(&mut |node| match apart(node) {
        true => Some(node),
        false => other(node),
    })
}

/// The one value in an expression that follows the clock: as it is computed, or else the time itself.
fn only_clock(expr: Node, apart: &dyn Fn(Node) -> bool) -> Option<Node> {
    let only = |is_meant: &dyn Fn(Node) -> bool| match found_in(expr, apart, is_meant).as_slice() {
        &[only] => Some(only),
        _ => None,
    };
    only(&follows_clock).or_else(|| only(&reads_start))
}

/// The different nodes of a kind in an expression.
fn found_in(
    expr: Node,
    apart: &dyn Fn(Node) -> bool,
    is_meant: &dyn Fn(Node) -> bool,
) -> Vec<Node> {
    let mut found: Vec<Node> = Vec::new();
    expr.walk(&mut |node| {
        if apart(node) {
            return Walk::Skip;
        }
        if !is_meant(node) {
            return Walk::Descend;
        }
        if !found.iter().any(|known| known.same_as(node)) {
            found.push(node);
        }
        Walk::Skip
    });
    found
}

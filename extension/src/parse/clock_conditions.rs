//! Conditions on the clock as values: whatever compares columns with one value that follows the clock.
//!
//! | written | changes for |
//! |---|---|
//! | `due < now()`, `now() - ts < interval '1 day'` | values between the bounds |
//! | `day = CURRENT_DATE`, `day <> CURRENT_DATE` | values at the bounds |
//! | `valid @> now()`, `ts < now() - ttl`, `day IN (CURRENT_DATE, CURRENT_DATE - 1)` | rows for which it does |
//!
//! Around them, `AND`, `OR`, `NOT`, `IS TRUE` and CASE are expressions like any other.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag::{T_DistinctExpr, T_FuncExpr, T_OpExpr, T_ScalarArrayOpExpr};
use pgtrickle_dvm::tree::Crossing;

use super::clock::{TimeFilter, follows_clock, plain_filter, reads_start};
use super::clock_forms::{age, age_of_today, comparison};
use crate::pg::make_node;
use crate::pg::node::{Node, Walk};
use crate::pg::types;

/// A condition on the clock.
pub(super) struct ClockCondition {
    /// The condition.
    pub expr: Node,
    /// What in it follows the clock, in one or several places.
    pub bound: Node,
    /// How rows are found for which it has changed.
    pub found_by: Option<(Node, Crossing)>,
}

/// The flattened expression as a condition on the clock, if it is one that can be followed. Nodes that are `apart` are
/// bound for themselves, and what is in them is not looked at: subqueries, and what a grouping computes.
pub(super) fn condition(expr: Node, apart: &dyn Fn(Node) -> bool) -> Option<ClockCondition> {
    let tags = [T_OpExpr, T_FuncExpr, T_ScalarArrayOpExpr, T_DistinctExpr];
    // Of a placeholder it is known only where it stands what it means.
    let is_meant = tags.contains(&expr.tag())
        && expr.type_oid() == pg_sys::BOOLOID
        && !types::returns_set(expr)
        && !expr.contains::<pg_sys::CaseTestExpr>();
    if !is_meant {
        return None;
    }
    let expr = replaced(expr, apart, &age_of_today);
    let plain = age(expr).unwrap_or(expr);
    let compared = plain_filter(plain).map(|filter| (plain, filter));
    let compared = compared.or_else(|| Some((expr, negated(expr)?)));
    let is_of_one = |filter: &TimeFilter| found_in(filter.value, apart, &reads_start).is_empty();
    if let Some((expr, filter)) = compared.filter(|(_, filter)| is_of_one(filter)) {
        return Some(ordered(expr, &filter));
    }
    let bound = only_clock(expr, apart)?;
    Some(ClockCondition {
        expr,
        bound,
        found_by: None,
    })
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

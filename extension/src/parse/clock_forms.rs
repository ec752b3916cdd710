//! Other forms of a comparison with the clock, rewritten to the plain one.
//!
//! - `NOT ts <= now()` → `ts > now()`
//! - `now() - ts < interval '1 day'` → `ts > now() - interval '24 hours'`: the difference of two times has
//!   no months, and intervals are compared with days of 24 hours and months of 30 days
//! - `p OR ts > now()` → `CASE WHEN p THEN 'infinity' ELSE ts END > now()`, and with `-infinity` for `<`
//! - `age(ts)` → `age(CURRENT_DATE, ts)`
//!
//! Both forms select the same rows: NULL counts as false.

use pgrx::pg_sys;
use pgrx::pg_sys::BoolExprType::{NOT_EXPR, OR_EXPR};
use pgtrickle_dvm::tree::Side;

use super::clock::{TimeFilter, follows_clock, plain_filter};
use crate::pg::node::{self, Node};
use crate::pg::{constant, make_node, types};

/// The flattened conjunct as a comparison with the clock, if it is one that can be followed.
pub(super) fn time_filter(conjunct: Node) -> Option<TimeFilter> {
    plain_filter(plain_form(conjunct))
}

/// The flattened conjunct, in its plain form if it has one.
fn plain_form(conjunct: Node) -> Node {
    let plain = match conjunct.cast::<pg_sys::BoolExpr>() {
        Some(logic) if logic.boolop == NOT_EXPR => negated(&node::list(logic.args)),
        Some(logic) if logic.boolop == OR_EXPR => alternative(&node::list(logic.args)),
        Some(_) => None,
        None => age(conjunct),
    };
    plain.unwrap_or(conjunct)
}

/// A comparison: its operator and its sides.
pub(super) fn comparison(expr: Node) -> Option<(pg_sys::Oid, [Node; 2])> {
    let call = expr.cast::<pg_sys::OpExpr>()?;
    let sides: [Node; 2] = node::list(call.args).try_into().ok()?;
    Some((call.opno, sides))
}

fn negated(arguments: &[Node]) -> Option<Node> {
    let &[argument] = arguments else {
        return None;
    };
    let (operator, sides) = comparison(plain_form(argument))?;
    make_node::make_condition(types::negator(operator)?, sides, pg_sys::InvalidOid)
}

/// The comparison of an age, in its plain form, which is NULL where it is.
pub(super) fn age(expr: Node) -> Option<Node> {
    let (operator, [age, limit]) = comparison(expr)?;
    let (_, [clock, time]) = comparison(age)?;
    let difference = age.cast::<pg_sys::OpExpr>()?;
    let is_age = difference.opfuncid == pg_sys::F_TIMESTAMPTZ_MI.into() && follows_clock(clock);
    let limit = constant::microseconds(limit).filter(|_| is_age)?;
    // Older is earlier.
    let strategy = match types::operator_function(operator).to_u32() {
        pg_sys::F_INTERVAL_LT => pg_sys::BTGreaterStrategyNumber,
        pg_sys::F_INTERVAL_LE => pg_sys::BTGreaterEqualStrategyNumber,
        pg_sys::F_INTERVAL_GT => pg_sys::BTLessStrategyNumber,
        pg_sys::F_INTERVAL_GE => pg_sys::BTLessEqualStrategyNumber,
        _ => return None,
    };
    let operator = types::ordering_operator(pg_sys::TIMESTAMPTZOID, strategy)?;
    let limit = make_node::make_duration(limit)?;
    let bound = make_node::make_call(
        pg_sys::F_TIMESTAMPTZ_MI_INTERVAL,
        pg_sys::TIMESTAMPTZOID,
        &[clock, limit],
    )?;
    make_node::make_condition(operator, [time, bound], pg_sys::InvalidOid)
}

/// `age(ts)` as what the server makes of it, `age(CURRENT_DATE, ts)`.
pub(super) fn age_of_today(expr: Node) -> Option<Node> {
    use pg_sys::{TIMESTAMPOID, TIMESTAMPTZOID};
    let call = expr.cast::<pg_sys::FuncExpr>()?;
    let (function, conversion, ty) = match call.funcid.to_u32() {
        pg_sys::F_AGE_TIMESTAMPTZ => (
            pg_sys::F_AGE_TIMESTAMPTZ_TIMESTAMPTZ,
            pg_sys::F_TIMESTAMPTZ_DATE,
            TIMESTAMPTZOID,
        ),
        pg_sys::F_AGE_TIMESTAMP => (
            pg_sys::F_AGE_TIMESTAMP_TIMESTAMP,
            pg_sys::F_TIMESTAMP_DATE,
            TIMESTAMPOID,
        ),
        _ => return None,
    };
    let time = node::list(call.args).first().copied()?;
    let today = make_node::make_call(conversion, ty, &[make_node::make_current_date()?])?;
    make_node::make_call(function, pg_sys::INTERVALOID, &[today, time])
}

fn alternative(arguments: &[Node]) -> Option<Node> {
    let plain: Vec<Node> = arguments.iter().map(|one| plain_form(*one)).collect();
    let (timed, others): (Vec<Node>, Vec<Node>) =
        (plain.into_iter()).partition(|one| plain_filter(*one).is_some());
    let &[timed] = timed.as_slice() else {
        return None;
    };
    if others
        .iter()
        .any(|other| other.contains::<pg_sys::SubLink>())
    {
        return None;
    }
    let filter = plain_filter(timed)?;
    let is_above = filter.side? == Side::Above;
    let always = make_node::make_infinite(filter.value.type_oid(), is_above)?;
    let arms: Vec<(Node, Node)> = others.into_iter().map(|other| (other, always)).collect();
    let value = make_node::make_case(&arms, Some(filter.value), filter.value)?;
    make_node::make_condition(filter.operator, [value, filter.bound], pg_sys::InvalidOid)
}

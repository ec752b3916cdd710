//! Values that follow the clock, and comparisons with them in their plain form, `value operator bound`.
//!
//! In a comparison one side reads columns and is immutable, the other reads none and changes only with the
//! transaction's start, and the comparison of the two types is immutable, too.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag::{
    T_Const, T_FuncExpr, T_List, T_NamedArgExpr, T_OpExpr, T_RelabelType, T_SQLValueFunction,
};
use pgtrickle_dvm::tree::Side;

use crate::pg::node::{self, Node, Walk};
use crate::pg::{constant, reads, types};

/// Parts of a time that stay the same for a day.
const UNITS_OF_DAYS: [&str; 12] = [
    "day",
    "dow",
    "isodow",
    "doy",
    "week",
    "month",
    "quarter",
    "year",
    "isoyear",
    "decade",
    "century",
    "millennium",
];

/// A comparison with the clock.
#[derive(Clone, Copy)]
pub(super) struct TimeFilter {
    /// The side that reads columns, flattened.
    pub value: Node,
    /// The side that follows the clock.
    pub bound: Node,
    /// The operator that stands between value and bound.
    pub operator: pg_sys::Oid,
    /// `None` for equality.
    pub side: Option<Side>,
}

/// A comparison with the clock in its plain form, if it is one that can be followed.
pub(super) fn plain_filter(conjunct: Node) -> Option<TimeFilter> {
    let call = conjunct.cast::<pg_sys::OpExpr>()?;
    let arguments = node::list(call.args);
    let &[left, right] = arguments.as_slice() else {
        return None;
    };
    let (value, bound, operator) = if follows_clock(right) {
        (left, right, call.opno)
    } else if follows_clock(left) {
        (right, left, types::commutator(call.opno)?)
    } else {
        return None;
    };
    let side = match types::operator_name(operator).as_str() {
        ">" | ">=" => Some(Side::Above),
        "<" | "<=" => Some(Side::Below),
        "=" => None,
        _ => return None,
    };
    let function = types::operator_function(operator);
    (types::is_builtin(operator) && reads::only_settings(function)).then_some(TimeFilter {
        value,
        bound,
        operator,
        side,
    })
}

/// Whether the value is computed from the start of the transaction and constants, by functions of the
/// server that depend on nothing else but settings.
pub(super) fn follows_clock(expr: Node) -> bool {
    if matches!(expr.tag(), T_List | T_NamedArgExpr) {
        return false;
    }
    let mut reads_clock = false;
    let mut reads_else = false;
    expr.walk(&mut |node| {
        let is_clock = reads_start(node);
        reads_clock |= is_clock;
        reads_else |= !is_clock && !is_computed(node);
        Walk::Descend
    });
    reads_clock && !reads_else
}

/// Whether the value does so and stays the same for a day at least: `CURRENT_DATE`, `date_trunc('month', now())`.
pub(super) fn follows_days(expr: Node) -> bool {
    if !matches!(expr.tag(), T_FuncExpr | T_OpExpr | T_SQLValueFunction) {
        return false;
    }
    let mut moves_within_days = false;
    expr.walk(&mut |node| {
        if is_of_days(node) {
            return Walk::Skip;
        }
        moves_within_days |= reads_start(node);
        Walk::Descend
    });
    !moves_within_days && follows_clock(expr)
}

/// Whether the node's value is of whole days, whatever it is computed from.
fn is_of_days(node: Node) -> bool {
    if node.is::<pg_sys::SQLValueFunction>() {
        return node.type_oid() == pg_sys::DATEOID;
    }
    let Some(call) = node.cast::<pg_sys::FuncExpr>() else {
        return false;
    };
    let unit = || {
        let first = node::list(call.args).first().copied();
        first.and_then(constant::text)
    };
    let is_named = |name: &str| matches!(name, "date_trunc" | "extract" | "date_part");
    let is_cut = types::is_builtin(call.funcid)
        && is_named(&types::function_name(call.funcid))
        && unit().is_some_and(|unit| UNITS_OF_DAYS.iter().any(|u| unit.eq_ignore_ascii_case(u)));
    is_cut || call.funcresulttype == pg_sys::DATEOID
}

/// Whether the node is the start of the transaction, in one of its forms.
pub(super) fn reads_start(node: Node) -> bool {
    use pg_sys::SQLValueFunctionOp as Op;
    if let Some(function) = node.cast::<pg_sys::SQLValueFunction>() {
        return matches!(
            function.op,
            Op::SVFOP_CURRENT_DATE
                | Op::SVFOP_CURRENT_TIMESTAMP
                | Op::SVFOP_CURRENT_TIMESTAMP_N
                | Op::SVFOP_LOCALTIMESTAMP
                | Op::SVFOP_LOCALTIMESTAMP_N
        );
    }
    node.cast::<pg_sys::FuncExpr>().is_some_and(|call| {
        matches!(
            call.funcid.to_u32(),
            pg_sys::F_NOW | pg_sys::F_TRANSACTION_TIMESTAMP
        )
    })
}

/// Whether the node adds nothing of its own to what its arguments are.
fn is_computed(node: Node) -> bool {
    if matches!(
        node.tag(),
        T_Const | T_List | T_NamedArgExpr | T_RelabelType
    ) {
        return true;
    }
    if !node.is::<pg_sys::FuncExpr>() && !node.is::<pg_sys::OpExpr>() {
        return false;
    }
    let has_arguments = match node.cast::<pg_sys::FuncExpr>() {
        Some(call) => node::list_length(call.args) > 0 && !call.funcretset,
        None => true,
    };
    has_arguments
        && types::functions_called(node)
            .into_iter()
            .all(|function| types::is_builtin(function) && reads::only_settings(function))
}

//! What single calls read besides their arguments, and what printing a value does.

use pgrx::pg_sys;

use super::clock_documents::populates_guarded;
use crate::pg::node::{self, Node};
use crate::pg::reads::{Form, Other, Reading, Reads};
use crate::pg::{constant, printed};

/// Whether values of the type are times.
pub(super) fn is_time(type_oid: pg_sys::Oid) -> bool {
    use pg_sys::{DATEOID, TIMEOID, TIMESTAMPOID, TIMESTAMPTZOID, TIMETZOID};
    [DATEOID, TIMEOID, TIMETZOID, TIMESTAMPOID, TIMESTAMPTZOID].contains(&type_oid)
}

/// Whether a function is the time.
pub(super) fn is_moment(function: pg_sys::Oid) -> bool {
    matches!(
        function.to_u32(),
        pg_sys::F_NOW
            | pg_sys::F_TRANSACTION_TIMESTAMP
            | pg_sys::F_STATEMENT_TIMESTAMP
            | pg_sys::F_CLOCK_TIMESTAMP
            | pg_sys::F_TIMEOFDAY
    )
}

/// Adds what printing the value of an expression reads. A row without a named type shows what is in it only where it
/// is made.
pub(super) fn print(expr: Node, form: Form, reads: &mut Reads) {
    node::check_stack_depth();
    if expr.type_oid() != pg_sys::RECORDOID {
        return printed::output(expr.type_oid(), form, reads);
    }
    if let Some(row) = expr.cast::<pg_sys::RowExpr>() {
        for field in node::list(row.args) {
            print(field, form, reads);
        }
    } else if let Some(case) = expr.cast::<pg_sys::CaseExpr>() {
        let arms = node::list_of::<pg_sys::CaseWhen>(case.args);
        let results = arms.iter().filter_map(|when| Node::new(when.result));
        for result in results.chain(Node::new(case.defresult)) {
            print(result, form, reads);
        }
    } else if !expr
        .cast::<pg_sys::Const>()
        .is_some_and(|constant| constant.constisnull)
    {
        reads.add(Reading::Other(Other::Unknown));
    }
}

/// Adds what a function reads that makes values of its result's type from text. The columns of a row whose type is
/// given beside the call are looked at there.
pub(super) fn input_of_call(function: pg_sys::Oid, node: Node, reads: &mut Reads) {
    const BESIDE: [u32; 4] = [
        pg_sys::F_JSON_TO_RECORD,
        pg_sys::F_JSON_TO_RECORDSET,
        pg_sys::F_JSONB_TO_RECORD,
        pg_sys::F_JSONB_TO_RECORDSET,
    ];
    if BESIDE.contains(&function.to_u32()) {
        return;
    }
    if node.type_oid() == pg_sys::RECORDOID {
        return reads.add(Reading::Other(Other::Unknown));
    }
    printed::input(node.type_oid(), !populates_guarded(node), reads);
}

/// Functions whose results, with these arguments, depend on the arguments alone.
pub(super) fn is_fixed_call(function: pg_sys::Oid, node: Node) -> bool {
    let arguments = arguments(node);
    let second = arguments.get(1).copied();
    let format = || second.and_then(constant::text);
    // What follows the session's locale in a format.
    let is_plain = |format: String, localised: &[&str]| {
        let format = format.to_uppercase();
        !localised.iter().any(|pattern| format.contains(pattern))
    };
    match function.to_u32() {
        pg_sys::F_TO_CHAR_TIMESTAMP_TEXT | pg_sys::F_TO_CHAR_INTERVAL_TEXT | pg_sys::F_TO_DATE => {
            format().is_some_and(|format| is_plain(format, &["TM"]))
        }
        pg_sys::F_TO_CHAR_NUMERIC_TEXT
        | pg_sys::F_TO_CHAR_INT4_TEXT
        | pg_sys::F_TO_CHAR_INT8_TEXT
        | pg_sys::F_TO_CHAR_FLOAT4_TEXT
        | pg_sys::F_TO_CHAR_FLOAT8_TEXT => {
            format().is_some_and(|format| is_plain(format, &["L", "D", "G", "S"]))
        }
        pg_sys::F_TIMESTAMPTZ_PL_INTERVAL | pg_sys::F_TIMESTAMPTZ_MI_INTERVAL => {
            second.is_some_and(constant::is_duration)
        }
        pg_sys::F_EXTRACT_TEXT_TIMESTAMPTZ | pg_sys::F_DATE_PART_TEXT_TIMESTAMPTZ => arguments
            .first()
            .and_then(|field| constant::text(*field))
            .is_some_and(|field| field.eq_ignore_ascii_case("epoch")),
        _ => false,
    }
}

/// The arguments of a call. An array given as VARIADIC is printed as what it is.
pub(super) fn arguments(node: Node) -> Vec<Node> {
    if let Some(call) = node.cast::<pg_sys::FuncExpr>() {
        return node::list(call.args);
    }
    match node.cast::<pg_sys::OpExpr>() {
        Some(operator) => node::list(operator.args),
        None => Vec::new(),
    }
}

//! Whether an expression can be NULL.
//!
//! Invariant: "not nullable" is proved; strictness proves nothing, because a
//! strict function may return NULL for arguments that are not NULL.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::ColumnId;

use super::analyzer::Analyzer;
use crate::pg::node::{self, Node};
use crate::pg::types;

impl Analyzer {
    /// Whether an expression whose columns are parameters can be NULL. True when in doubt.
    pub fn is_nullable(&self, expr: Node) -> bool {
        node::check_stack_depth();
        let child = |pointer: *mut pg_sys::Expr| {
            Node::new(pointer).is_none_or(|node| self.is_nullable(node))
        };
        let any = |list| {
            node::list(list)
                .into_iter()
                .any(|arg| self.is_nullable(arg))
        };
        if let Some(param) = expr.cast::<pg_sys::Param>() {
            return self
                .slot(ColumnId(param.paramid as u32))
                .is_none_or(|slot| slot.column.nullable);
        }
        if let Some(constant) = expr.cast::<pg_sys::Const>() {
            return constant.constisnull;
        }
        if let Some(call) = expr.cast::<pg_sys::Aggref>() {
            return !matches!(
                call.aggfnoid.to_u32(),
                pg_sys::F_COUNT_ | pg_sys::F_COUNT_ANY
            );
        }
        if let Some(relabel) = expr.cast::<pg_sys::RelabelType>() {
            return child(relabel.arg);
        }
        if let Some(collate) = expr.cast::<pg_sys::CollateExpr>() {
            return child(collate.arg);
        }
        if let Some(coalesce) = expr.cast::<pg_sys::CoalesceExpr>() {
            return node::list(coalesce.args)
                .into_iter()
                .all(|arg| self.is_nullable(arg));
        }
        if let Some(case) = expr.cast::<pg_sys::CaseExpr>() {
            return child(case.defresult)
                || node::list_of::<pg_sys::CaseWhen>(case.args)
                    .iter()
                    .any(|when| child(when.result));
        }
        if let Some(logic) = expr.cast::<pg_sys::BoolExpr>() {
            return any(logic.args);
        }
        if let Some(extremum) = expr.cast::<pg_sys::MinMaxExpr>() {
            return node::list(extremum.args)
                .into_iter()
                .all(|arg| self.is_nullable(arg));
        }
        let is_distinct = expr.tag() == pg_sys::NodeTag::T_DistinctExpr;
        if is_distinct
            || expr.is::<pg_sys::RowExpr>()
            || expr.is::<pg_sys::NullTest>()
            || expr.is::<pg_sys::BooleanTest>()
        {
            return false;
        }
        if let Some(operator) = expr.cast::<pg_sys::OpExpr>() {
            let function = types::operator_function(operator.opno);
            return !is_total(function, &node::list(operator.args)) || any(operator.args);
        }
        if let Some(call) = expr.cast::<pg_sys::FuncExpr>() {
            return !is_total(call.funcid, &node::list(call.args)) || any(call.args);
        }
        true
    }
}

/// Whether a function of the server never returns NULL for arguments that are not NULL: arithmetic,
/// comparison and conversion between numbers, comparison of plain scalar types.
fn is_total(function: pg_sys::Oid, arguments: &[Node]) -> bool {
    const SCALARS: [pg_sys::Oid; 18] = [
        pg_sys::BOOLOID,
        pg_sys::INT2OID,
        pg_sys::INT4OID,
        pg_sys::INT8OID,
        pg_sys::FLOAT4OID,
        pg_sys::FLOAT8OID,
        pg_sys::NUMERICOID,
        pg_sys::TEXTOID,
        pg_sys::BPCHAROID,
        pg_sys::VARCHAROID,
        pg_sys::NAMEOID,
        pg_sys::BYTEAOID,
        pg_sys::DATEOID,
        pg_sys::TIMEOID,
        pg_sys::TIMESTAMPOID,
        pg_sys::TIMESTAMPTZOID,
        pg_sys::INTERVALOID,
        pg_sys::UUIDOID,
    ];
    const NAMES: [&str; 24] = [
        "int2",
        "int4",
        "int8",
        "int24",
        "int42",
        "int28",
        "int82",
        "int48",
        "int84",
        "numeric",
        "float4",
        "float8",
        "float48",
        "float84",
        "text",
        "bpchar",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "uuid",
        "bool",
        "bytea",
        "interval",
    ];
    const SUFFIXES: [&str; 14] = [
        "eq", "ne", "lt", "le", "gt", "ge", "pl", "mi", "mul", "div", "mod", "um", "up", "abs",
    ];
    if !types::is_builtin(function)
        || arguments.is_empty()
        || !arguments
            .iter()
            .all(|arg| SCALARS.contains(&arg.type_oid()))
    {
        return false;
    }
    match function.to_u32() {
        pg_sys::F_NUMERIC_ADD
        | pg_sys::F_NUMERIC_SUB
        | pg_sys::F_NUMERIC_MUL
        | pg_sys::F_NUMERIC_DIV
        | pg_sys::F_NUMERIC_UMINUS
        | pg_sys::F_NUMERIC_INT2
        | pg_sys::F_NUMERIC_INT4
        | pg_sys::F_NUMERIC_INT8
        | pg_sys::F_INT8_INT2
        | pg_sys::F_INT8_INT4
        | pg_sys::F_INT4_INT2
        | pg_sys::F_INT4_INT8
        | pg_sys::F_FLOAT8_INT2
        | pg_sys::F_FLOAT8_INT4
        | pg_sys::F_FLOAT8_INT8
        | pg_sys::F_UPPER_TEXT
        | pg_sys::F_LOWER_TEXT
        | pg_sys::F_TEXTCAT => return true,
        _ => {}
    }
    let name = types::function_name(function);
    NAMES.iter().any(|base| {
        name.strip_prefix(base)
            .map(|rest| rest.trim_start_matches('_'))
            .is_some_and(|rest| SUFFIXES.contains(&rest))
    })
}

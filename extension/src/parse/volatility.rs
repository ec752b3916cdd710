//! Only immutable expressions can be maintained: a value that changes without a change of rows
//! would never be noticed.

use pgrx::pg_sys;

use super::analyzer::Analyzer;
use crate::capability::{Capability, STABLE_FUNCTION, VOLATILE_FUNCTION};
use crate::pg::node::{self, Node, Walk};
use crate::pg::{deparse, types};

impl Analyzer {
    /// Records every function in the expression that is not immutable.
    pub fn check_volatility(&mut self, expr: Node) {
        let mut found: Vec<(&'static Capability, String)> = Vec::new();
        let mut has_json = false;
        expr.walk(&mut |node| {
            if node.is::<pg_sys::SQLValueFunction>() {
                found.push((&STABLE_FUNCTION, deparse::expression(node)));
            } else if node.tag() == pg_sys::NodeTag::T_NextValueExpr {
                found.push((&VOLATILE_FUNCTION, "nextval".into()));
            } else if let Some(call) = node.cast::<pg_sys::Aggref>() {
                found.extend(aggregate_volatility(&call));
                return Walk::Descend;
            }
            for function in types::functions_called(node) {
                if !only_prints_immutably(function, node) {
                    found.extend(function_volatility(function));
                }
            }
            has_json |= matches!(
                node.tag(),
                pg_sys::NodeTag::T_JsonConstructorExpr | pg_sys::NodeTag::T_JsonExpr
            );
            Walk::Descend
        });
        // The rules for SQL/JSON constructors are the server's own.
        if has_json && found.is_empty() && types::is_mutable(expr) {
            found.push((&STABLE_FUNCTION, "SQL/JSON expression".into()));
        }
        for (capability, construct) in found {
            self.refuse(capability, construct);
        }
    }
}

fn function_volatility(function: pg_sys::Oid) -> Option<(&'static Capability, String)> {
    let name = || format!("function {}", types::function_name(function));
    match types::function_volatility(function) {
        b'i' => None,
        b's' => Some((&STABLE_FUNCTION, name())),
        _ => Some((&VOLATILE_FUNCTION, name())),
    }
}

/// Functions that the server calls stable only because they print values of any type: they are
/// immutable for arguments whose printed form depends on nothing but the value.
fn only_prints_immutably(function: pg_sys::Oid, node: Node) -> bool {
    let Some(call) = arguments(node) else {
        return false;
    };
    let mut types_printed = call.iter().map(|argument| argument.type_oid());
    match function.to_u32() {
        pg_sys::F_TEXTANYCAT
        | pg_sys::F_ANYTEXTCAT
        | pg_sys::F_CONCAT
        | pg_sys::F_CONCAT_WS
        | pg_sys::F_FORMAT_TEXT_ANY => types_printed.all(types::output_is_immutable),
        pg_sys::F_TO_JSON | pg_sys::F_JSON_BUILD_OBJECT_ANY | pg_sys::F_JSON_BUILD_ARRAY_ANY => {
            types_printed.all(|ty| types::json_is_immutable(ty, false))
        }
        pg_sys::F_TO_JSONB | pg_sys::F_JSONB_BUILD_OBJECT_ANY | pg_sys::F_JSONB_BUILD_ARRAY_ANY => {
            types_printed.all(|ty| types::json_is_immutable(ty, true))
        }
        _ => false,
    }
}

fn arguments(node: Node) -> Option<Vec<Node>> {
    let list = match (
        node.cast::<pg_sys::FuncExpr>(),
        node.cast::<pg_sys::OpExpr>(),
    ) {
        // An array given as VARIADIC would be printed as what it is.
        (Some(call), _) => call.args,
        (None, Some(operator)) => operator.args,
        (None, None) => return None,
    };
    Some(node::list(list))
}

/// The server calls every aggregate immutable; what counts are the functions that it is made of.
fn aggregate_volatility(call: &pg_sys::Aggref) -> Option<(&'static Capability, String)> {
    let name = types::function_name(call.aggfnoid);
    let is_json = types::is_builtin(call.aggfnoid) && name.starts_with("json");
    if is_json {
        let binary = name.starts_with("jsonb");
        return node::oid_list(call.aggargtypes)
            .into_iter()
            .any(|ty| !types::json_is_immutable(ty, binary))
            .then(|| (&STABLE_FUNCTION, format!("aggregate {name}")));
    }
    types::aggregate_function(call.aggfnoid)?
        .functions
        .into_iter()
        .find_map(function_volatility)
        .map(|(capability, function)| (capability, format!("{function} of aggregate {name}")))
}

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
        expr.walk(&mut |node| {
            if node.is::<pg_sys::SQLValueFunction>() {
                found.push((&STABLE_FUNCTION, deparse::expression(node)));
            } else if node.tag() == pg_sys::NodeTag::T_NextValueExpr {
                found.push((&VOLATILE_FUNCTION, "nextval".into()));
            } else if let Some(call) = node.cast::<pg_sys::Aggref>() {
                found.extend(aggregate_volatility(&call));
            }
            for function in types::functions_called(node) {
                found.extend(function_volatility(function));
            }
            Walk::Descend
        });
        if found.is_empty() && types::is_mutable(expr) {
            found.push((&STABLE_FUNCTION, deparse::expression(expr)));
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

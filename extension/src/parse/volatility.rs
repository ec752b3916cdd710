//! Only immutable expressions can be maintained: a value that changes without a change of rows
//! would never be noticed.

use pgrx::pg_sys;

use super::analyzer::Analyzer;
use crate::capability::{Capability, STABLE_FUNCTION, VOLATILE_FUNCTION};
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::printed::{Definitions, Form, is_fixed};
use crate::pg::{constant, deparse, types};

impl Analyzer {
    /// Records every function in the expression that is not immutable.
    pub fn check_volatility(&mut self, expr: Node) {
        let mut found: Vec<(&'static Capability, String)> = Vec::new();
        let mut definitions = Definitions::default();
        let mut has_json = false;
        expr.walk(&mut |node| {
            if node.is::<pg_sys::SQLValueFunction>() {
                found.push((&STABLE_FUNCTION, deparse::expression(node)));
            } else if node.tag() == pg_sys::NodeTag::T_NextValueExpr {
                found.push((&VOLATILE_FUNCTION, "nextval".into()));
            } else if let Some(call) = node.cast::<pg_sys::Aggref>() {
                found.extend(aggregate_volatility(&call, &mut definitions));
                return Walk::Descend;
            }
            for function in types::functions_called(node) {
                if let Some(volatility) = function_volatility(function)
                    && !is_fixed_call(function, node, &mut definitions)
                {
                    found.push(volatility);
                }
            }
            has_json |= matches!(
                node.tag(),
                pg_sys::NodeTag::T_JsonConstructorExpr | pg_sys::NodeTag::T_JsonExpr
            );
            Walk::Descend
        });
        self.depend_on(definitions);
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

/// Functions that the server calls stable although, with these arguments, their results depend on the
/// arguments alone.
fn is_fixed_call(function: pg_sys::Oid, node: Node, found: &mut Definitions) -> bool {
    let arguments = arguments(node);
    if let Some(form) = printing_form(function) {
        return arguments
            .iter()
            .all(|argument| prints_fixed(*argument, form, found));
    }
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

/// How a function prints its arguments, of whatever types they are.
fn printing_form(function: pg_sys::Oid) -> Option<Form> {
    Some(match function.to_u32() {
        pg_sys::F_TEXTANYCAT
        | pg_sys::F_ANYTEXTCAT
        | pg_sys::F_CONCAT
        | pg_sys::F_CONCAT_WS
        | pg_sys::F_FORMAT_TEXT_ANY
        | pg_sys::F_QUOTE_LITERAL_ANYELEMENT
        | pg_sys::F_QUOTE_NULLABLE_ANYELEMENT
        | pg_sys::F_ARRAY_TO_STRING_ANYARRAY_TEXT
        | pg_sys::F_ARRAY_TO_STRING_ANYARRAY_TEXT_TEXT
        | pg_sys::F_ENUM_OUT
        | pg_sys::F_ARRAY_OUT
        | pg_sys::F_RECORD_OUT
        | pg_sys::F_RANGE_OUT
        | pg_sys::F_MULTIRANGE_OUT => Form::Text,
        pg_sys::F_TO_JSON
        | pg_sys::F_ROW_TO_JSON_RECORD
        | pg_sys::F_ROW_TO_JSON_RECORD_BOOL
        | pg_sys::F_ARRAY_TO_JSON_ANYARRAY
        | pg_sys::F_ARRAY_TO_JSON_ANYARRAY_BOOL
        | pg_sys::F_JSON_BUILD_OBJECT_ANY
        | pg_sys::F_JSON_BUILD_ARRAY_ANY => Form::Json,
        pg_sys::F_TO_JSONB | pg_sys::F_JSONB_BUILD_OBJECT_ANY | pg_sys::F_JSONB_BUILD_ARRAY_ANY => {
            Form::Jsonb
        }
        _ => return None,
    })
}

/// Whether printing the value of an expression depends on no setting. A row without a named type shows what
/// is in it only where it is made.
fn prints_fixed(expr: Node, form: Form, found: &mut Definitions) -> bool {
    node::check_stack_depth();
    if expr.type_oid() != pg_sys::RECORDOID {
        return is_fixed(expr.type_oid(), form, found);
    }
    let mut all = |list| {
        node::list(list)
            .into_iter()
            .all(|part| prints_fixed(part, form, found))
    };
    if let Some(row) = expr.cast::<pg_sys::RowExpr>() {
        return all(row.args);
    }
    let Some(case) = expr.cast::<pg_sys::CaseExpr>() else {
        let constant = expr.cast::<pg_sys::Const>();
        return constant.is_some_and(|constant| constant.constisnull);
    };
    node::list_of::<pg_sys::CaseWhen>(case.args)
        .iter()
        .filter_map(|when| Node::new(when.result))
        .chain(Node::new(case.defresult))
        .all(|result| prints_fixed(result, form, found))
}

/// The arguments of a call. An array given as VARIADIC is printed as what it is.
fn arguments(node: Node) -> Vec<Node> {
    if let Some(call) = node.cast::<pg_sys::FuncExpr>() {
        return node::list(call.args);
    }
    if let Some(operator) = node.cast::<pg_sys::OpExpr>() {
        return node::list(operator.args);
    }
    let conversion = node.cast::<pg_sys::CoerceViaIO>();
    (conversion.and_then(|conversion| Node::new(conversion.arg)))
        .into_iter()
        .collect()
}

/// The server calls every aggregate immutable, and so do we: many a transition function is VOLATILE only because
/// its CREATE FUNCTION says nothing. One that says STABLE does depend on more than its arguments.
fn aggregate_volatility(
    call: &NodeOf<pg_sys::Aggref>,
    found: &mut Definitions,
) -> Option<(&'static Capability, String)> {
    let name = types::function_name(call.aggfnoid);
    let is_json = types::is_builtin(call.aggfnoid) && name.starts_with("json");
    if is_json {
        let form = match name.starts_with("jsonb") {
            true => Form::Jsonb,
            false => Form::Json,
        };
        return node::list_of::<pg_sys::TargetEntry>(call.args)
            .into_iter()
            .filter(|argument| !argument.resjunk)
            .filter_map(|argument| Node::new(argument.expr))
            .any(|argument| !prints_fixed(argument, form, found))
            .then(|| (&STABLE_FUNCTION, format!("aggregate {name}")));
    }
    types::aggregate_function(call.aggfnoid)?
        .functions
        .into_iter()
        .filter(|function| types::function_volatility(*function) == b's')
        .find_map(function_volatility)
        .map(|(capability, function)| (capability, format!("{function} of aggregate {name}")))
}

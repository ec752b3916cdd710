//! SQL/JSON functions of servers whose result for a row depends on the rows before it, for two reasons:
//!
//! - `JSON_VALUE (… RETURNING json | jsonb)` keeps the NULL of an earlier row;
//! - a default that was taken ON ERROR or ON EMPTY is shown for later rows whose document is NULL, too.

use std::sync::OnceLock;

use pgrx::{Spi, pg_sys};

use super::analyzer::Analyzer;
use crate::capability::{JSON_DEFAULT, JSON_VALUE};
use crate::pg::constant;
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::snapshot::ActiveSnapshot;

/// The second row has a value, unless the server keeps the NULL of the first.
const KEEPS_NULL: &str = "SELECT v IS NULL FROM (SELECT i, JSON_VALUE(j, '$.a' RETURNING pg_catalog.jsonb) AS v \
     FROM (VALUES (1, '{}'::pg_catalog.jsonb), (2, '{\"a\": 1}')) AS t (i, j) OFFSET 0) AS s WHERE i OPERATOR(pg_catalog.=) 2";

/// The second row is NULL, unless the server shows the default of the first.
const KEEPS_DEFAULT: &str = "SELECT v IS NOT NULL FROM (SELECT i, JSON_EXISTS(j, 'strict $.a') AS v \
     FROM (VALUES (1, '{}'::pg_catalog.jsonb), (2, NULL)) AS t (i, j) OFFSET 0) AS s WHERE i OPERATOR(pg_catalog.=) 2";

impl Analyzer {
    /// Refuses calls whose result depends on the order of rows, if this server has the fault.
    pub fn check_json_value(&mut self, expr: Node) {
        let (mut is_value, mut is_default) = (false, false);
        let mut guarded = Vec::new();
        expr.walk(&mut |node| {
            guarded.extend(
                node.cast::<pg_sys::CaseExpr>()
                    .into_iter()
                    .flat_map(|c| guarded_by(&c)),
            );
            if let Some(json) = node.cast::<pg_sys::JsonExpr>() {
                is_value |= json.op == pg_sys::JsonExprOp::JSON_VALUE_OP
                    && [pg_sys::JSONOID, pg_sys::JSONBOID].contains(&node.type_oid());
                is_default |= has_default(&json)
                    && !guarded.contains(&node.as_ptr())
                    && self.may_be_without_document(&json);
            }
            Walk::Descend
        });
        if is_value && probe(&KEPT_NULL, KEEPS_NULL) {
            self.refuse(&JSON_VALUE, "JSON_VALUE with RETURNING json or jsonb");
        }
        if is_default && probe(&KEPT_DEFAULT, KEEPS_DEFAULT) {
            self.refuse(&JSON_DEFAULT, "default of a SQL/JSON function");
        }
    }

    /// Whether the document may be NULL. The rows of JSON_TABLE read their columns from a document that is there.
    fn may_be_without_document(&self, json: &pg_sys::JsonExpr) -> bool {
        Node::new(json.formatted_expr).is_some_and(|document| {
            let document = unconverted(document);
            !document.is::<pg_sys::CaseTestExpr>() && self.is_nullable(document)
        })
    }
}

static KEPT_NULL: OnceLock<bool> = OnceLock::new();
static KEPT_DEFAULT: OnceLock<bool> = OnceLock::new();

/// Whether the server has the fault that a query shows, looked up once per process.
fn probe(known: &OnceLock<bool>, query: &str) -> bool {
    *known.get_or_init(|| {
        // A worker has no snapshot yet when it analyses a query.
        let _snapshot = ActiveSnapshot::push_latest();
        Spi::get_one::<bool>(query).ok().flatten().unwrap_or(true)
    })
}

/// The calls that `CASE WHEN document IS NOT NULL THEN … END` reaches with that document.
fn guarded_by(case: &pg_sys::CaseExpr) -> Vec<*mut pg_sys::Node> {
    let mut calls = Vec::new();
    if !case.arg.is_null() {
        return calls;
    }
    for when in node::list_of::<pg_sys::CaseWhen>(case.args) {
        let tested = Node::new(when.expr)
            .and_then(|expr| expr.cast::<pg_sys::NullTest>())
            .filter(|test| test.nulltesttype == pg_sys::NullTestType::IS_NOT_NULL && !test.argisrow)
            .and_then(|test| Node::new(test.arg));
        let (Some(document), Some(result)) = (tested, Node::new(when.result)) else {
            continue;
        };
        result.walk(&mut |node| {
            if node.cast::<pg_sys::JsonExpr>().is_some_and(|json| {
                Node::new(json.formatted_expr)
                    .is_some_and(|read| unconverted(read).same_as(document))
            }) {
                calls.push(node.as_ptr());
            }
            Walk::Descend
        });
    }
    calls
}

/// What a document is made from: a conversion makes NULL of NULL alone.
fn unconverted(document: Node) -> Node {
    let conversion = document.cast::<pg_sys::CoerceViaIO>();
    let of_json = document.cast::<pg_sys::JsonValueExpr>();
    let from = conversion
        .and_then(|conversion| Node::new(conversion.arg))
        .or_else(|| Node::new(of_json?.raw_expr));
    from.map_or(document, unconverted)
}

/// Whether a call has a default that it can take.
fn has_default(json: &pg_sys::JsonExpr) -> bool {
    let takes = |behavior: *mut pg_sys::JsonBehavior| {
        use pg_sys::JsonBehaviorType::{
            JSON_BEHAVIOR_ERROR, JSON_BEHAVIOR_NULL, JSON_BEHAVIOR_UNKNOWN,
        };
        let none = [
            JSON_BEHAVIOR_NULL,
            JSON_BEHAVIOR_ERROR,
            JSON_BEHAVIOR_UNKNOWN,
        ];
        Node::new(behavior)
            .and_then(|behavior| behavior.cast::<pg_sys::JsonBehavior>())
            .is_some_and(|behavior: NodeOf<_>| !none.contains(&behavior.btype))
    };
    let raises = || {
        let path = Node::new(json.path_spec).and_then(constant::path);
        path.is_none_or(|path| may_raise(&path))
    };
    match json.op {
        pg_sys::JsonExprOp::JSON_EXISTS_OP => takes(json.on_error) && raises(),
        _ => takes(json.on_empty) || takes(json.on_error),
    }
}

/// Whether a path, as the server prints it, may raise an error for some document. A lax path of names of fields, numbered
/// elements, wildcards and filters raises none: filters take errors for unknown.
fn may_raise(path: &str) -> bool {
    let mut depth = 0usize;
    let mut is_quoted = false;
    let mut outside = String::new();
    let mut characters = path.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if is_quoted => {
                characters.next();
            }
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            // A method's parentheses follow its name, a filter's a question mark.
            '(' if depth == 0 && !outside.trim_end().ends_with('?') => return true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => outside.push(c),
            _ => {}
        }
    }
    let subscripts = outside
        .split('[')
        .skip(1)
        .filter_map(|rest| rest.split(']').next());
    let are_plain = subscripts.into_iter().all(|subscript| {
        subscript.split([',', ' ']).all(|word| {
            word.chars().all(|c| c.is_ascii_digit()) || ["*", "to", "last"].contains(&word)
        })
    });
    outside.trim_start().starts_with("strict")
        || !are_plain
        || outside.contains(['+', '-', '/', '%'])
        || outside.matches('$').count() != 1
}

#[cfg(test)]
mod tests {
    use super::may_raise;

    #[test]
    fn a_lax_path_of_names_elements_and_filters_raises_nothing() {
        for path in [
            "$.\"a\".\"b-c\"[0,2 to last][*].*",
            "$.\"a\"?(@.\"b\" > 1 && @.\"c\".double() < 2).\"d\"",
            "$.**{1 to 2}.\"a\"",
            "$",
        ] {
            assert!(!may_raise(path), "{path}");
        }
    }

    #[test]
    fn strict_paths_methods_variables_and_arithmetic_may_raise() {
        for path in [
            "strict $.\"a\"",
            "$.\"a\".double()",
            "$[$\"x\"]",
            "$.\"a\" + 1",
            "$[1.5]",
            "($.\"a\" == 1)",
            "$[last - 1]",
        ] {
            assert!(may_raise(path), "{path}");
        }
    }
}

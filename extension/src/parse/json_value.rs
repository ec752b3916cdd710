//! `JSON_VALUE (… RETURNING json | jsonb)` of servers that keep the NULL of an earlier row: the value of a row depends
//! on the rows before it.

use std::sync::OnceLock;

use pgrx::{Spi, pg_sys};

use super::analyzer::Analyzer;
use crate::capability::JSON_VALUE;
use crate::pg::node::{Node, Walk};
use crate::pg::snapshot::ActiveSnapshot;

/// The second row has a value, unless the server keeps the NULL of the first.
const PROBE: &str = "SELECT v IS NULL FROM (SELECT i, JSON_VALUE(j, '$.a' RETURNING pg_catalog.jsonb) AS v \
     FROM (VALUES (1, '{}'::pg_catalog.jsonb), (2, '{\"a\": 1}')) AS t (i, j) OFFSET 0) AS s WHERE i OPERATOR(pg_catalog.=) 2";

impl Analyzer {
    /// Refuses calls whose result depends on the order of rows, if this server has the fault.
    pub fn check_json_value(&mut self, expr: Node) {
        let mut is_there = false;
        expr.walk(&mut |node| {
            is_there |= node.cast::<pg_sys::JsonExpr>().is_some_and(|json| {
                json.op == pg_sys::JsonExprOp::JSON_VALUE_OP
                    && [pg_sys::JSONOID, pg_sys::JSONBOID].contains(&node.type_oid())
            });
            if is_there { Walk::Skip } else { Walk::Descend }
        });
        if is_there && keeps_null() {
            self.refuse(&JSON_VALUE, "JSON_VALUE with RETURNING json or jsonb");
        }
    }
}

/// Whether the server has the fault, looked up once per process.
fn keeps_null() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        // A worker has no snapshot yet when it analyses a query.
        let _snapshot = ActiveSnapshot::push_latest();
        Spi::get_one::<bool>(PROBE).ok().flatten().unwrap_or(true)
    })
}

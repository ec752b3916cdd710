//! JSON documents whose strings are read as dates or times, maintained while none depends on the clock.
//!
//! The value of a path, or a field of a record, is converted without an expression that a function could wrap,
//! so the function wraps the document.
//! ```text
//! jsonb_to_record(j) AS r(at date)  →  jsonb_to_record(CASE WHEN pgtrickle.without_clock_strings(j::text) IS NULL THEN NULL ELSE j END) AS r(at date)
//! ```
//! It raises for a document with such a string anywhere but in the name of a field. Paths that make strings
//! from names of fields or variables are not wrapped, but refused.

use pgrx::pg_sys;

use super::clock_words::{is_checked, says_clock, value_if};
use crate::error::{Error, Result, or_report};
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::reads::{Other, Reads};
use crate::pg::{altered_node, deparse, printed};

const FUNCTION: &str = "without_clock_strings";

/// Functions that make a row of a document, whose columns are given beside the call.
const RECORDS: [u32; 4] = [
    pg_sys::F_JSON_TO_RECORD,
    pg_sys::F_JSON_TO_RECORDSET,
    pg_sys::F_JSONB_TO_RECORD,
    pg_sys::F_JSONB_TO_RECORDSET,
];

/// Functions that make a row of the type of their first argument of the document that is the second.
const POPULATED: [u32; 4] = [
    pg_sys::F_JSON_POPULATE_RECORD,
    pg_sys::F_JSON_POPULATE_RECORDSET,
    pg_sys::F_JSONB_POPULATE_RECORD,
    pg_sys::F_JSONB_POPULATE_RECORDSET,
];

/// The strings of a document, but for names of fields.
fn strings(document: &str) -> Vec<String> {
    let mut strings = Vec::new();
    let mut rest = document.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '"' {
            continue;
        }
        let mut string = String::new();
        while let Some(c) = rest.next().filter(|c| *c != '"') {
            match (c, rest.peek()) {
                ('\\', Some('u')) => {
                    rest.next();
                    let digits: String = rest.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).ok();
                    string.extend(code.and_then(char::from_u32));
                }
                // What is left of other escapes is no letter of a word.
                ('\\', Some(_)) => {
                    rest.next();
                    string.push(' ');
                }
                _ => string.push(c),
            }
        }
        while rest.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            rest.next();
        }
        if rest.peek() != Some(&':') {
            strings.push(string);
        }
    }
    strings
}

/// Most words of a date with a word of the clock: a half of the day, a weekday, a zone, DST, an era and the T of a time
/// stand beside it, each once.
const WORDS_MAX: usize = 7;

/// Whether a string may be a date or time that the clock decides: such a word beside few others. The server passes over
/// `at` and `on`, however often they stand there, and takes a zone such as `America/Argentina/Buenos_Aires` as one word.
fn may_be_of_clock(string: &str) -> bool {
    let counts = |word: &&str| {
        let mut parts = word.split(|c: char| !c.is_ascii_alphabetic());
        parts.any(|part| !["", "at", "on"].contains(&part.to_ascii_lowercase().as_str()))
    };
    says_clock(string) && string.split_whitespace().filter(counts).count() <= WORDS_MAX
}

fn checked(document: &str) -> Result<&str> {
    match strings(document).into_iter().find(|s| may_be_of_clock(s)) {
        Some(string) => Err(Error::ClockWord(string)),
        None => Ok(document),
    }
}

#[pgrx::pg_extern(
    immutable,
    parallel_safe,
    schema = "pgtrickle",
    sql = r#"
CREATE FUNCTION pgtrickle.without_clock_strings(value text) RETURNS text
LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION pgtrickle.without_clock_strings(text) IS 'the text of a JSON document; an error if a string in it says now, today, tomorrow or yesterday';
"#
)]
fn without_clock_strings(value: &str) -> &str {
    or_report(checked(value))
}

/// Whether the clock decides about values of the type that are read from text.
pub(super) fn is_of_clock(type_oid: pg_sys::Oid) -> bool {
    let mut reads = Reads::default();
    printed::input(type_oid, true, &mut reads);
    reads.other == Some(Other::Clock)
}

/// The document behind the function.
fn guarded_document(document: Node) -> Option<Node> {
    let is_json = [pg_sys::JSONOID, pg_sys::JSONBOID].contains(&document.type_oid());
    let is_plain = is_json && !document.is::<pg_sys::JsonValueExpr>();
    if !is_plain || is_guarded(document) {
        return None;
    }
    value_if(FUNCTION, document)
}

/// Whether a document stands behind the function.
pub(super) fn is_guarded(document: Node) -> bool {
    is_checked(FUNCTION, document)
}

/// The node with the function around the document that it reads dates or times from; `None` for any other.
pub(super) fn guarded(node: Node) -> Option<Node> {
    if let Some(query) = node.cast::<pg_sys::JsonExpr>() {
        let is_of_value =
            query.op != pg_sys::JsonExprOp::JSON_TABLE_OP && is_of_clock(node.type_oid());
        return guarded_query(&query).filter(|_| is_of_value);
    }
    if let Some(table) = node.cast::<pg_sys::TableFunc>() {
        let rows = Node::new(table.docexpr)?.cast::<pg_sys::JsonExpr>()?;
        let may = node::oid_list(table.coltypes).into_iter().any(is_of_clock);
        let rows = guarded_query(&rows).filter(|_| may)?;
        return altered_node::with_rows_of(&table, rows);
    }
    if let Some(item) = node.cast::<pg_sys::RangeTblFunction>() {
        let call = Node::new(item.funcexpr)?.cast::<pg_sys::FuncExpr>()?;
        let is_record = RECORDS.contains(&call.funcid.to_u32());
        let may = node::oid_list(item.funccoltypes)
            .into_iter()
            .any(is_of_clock);
        let call = guarded_call(&call, 0).filter(|_| is_record && may)?;
        return altered_node::with_call(&item, call);
    }
    let call = node.cast::<pg_sys::FuncExpr>()?;
    let is_populated = POPULATED.contains(&call.funcid.to_u32()) && is_of_clock(node.type_oid());
    guarded_call(&call, 1).filter(|_| is_populated)
}

fn guarded_call(call: &NodeOf<pg_sys::FuncExpr>, place: usize) -> Option<Node> {
    let document = guarded_document(*node::list(call.args).get(place)?)?;
    altered_node::with_argument(call, place, document)
}

/// The query with the function around its document, where all strings come from there.
fn guarded_query(query: &NodeOf<pg_sys::JsonExpr>) -> Option<Node> {
    let path = Node::new(query.path_spec)?;
    let is_known = query.passing_values.is_null()
        && path.is::<pg_sys::Const>()
        && !makes_strings(&deparse::expression(path));
    let document = Node::new(query.formatted_expr).filter(|_| is_known)?;
    altered_node::with_document(query, guarded_document(document)?)
}

/// Whether the text of a path, or of something with paths in it, may make strings of its own that the clock decides.
pub(super) fn makes_strings(text: &str) -> bool {
    text.contains("keyvalue") || says_clock(text)
}

/// Whether the rows of an item are made of a document behind the function, and so of all that it converts.
pub(super) fn makes_guarded_rows(node: Node) -> bool {
    let document = match (
        node.cast::<pg_sys::TableFunc>(),
        node.cast::<pg_sys::RangeTblFunction>(),
    ) {
        (Some(table), _) => document_of_rows(&table),
        (_, Some(item)) => Node::new(item.funcexpr)
            .and_then(|call| call.cast::<pg_sys::FuncExpr>())
            .and_then(|call| node::list(call.args).first().copied()),
        _ => None,
    };
    document.is_some_and(is_guarded)
}

fn document_of_rows(table: &pg_sys::TableFunc) -> Option<Node> {
    let rows = Node::new(table.docexpr)?.cast::<pg_sys::JsonExpr>()?;
    Node::new(rows.formatted_expr)
}

/// Whether a call makes its row of a document behind the function.
pub(super) fn populates_guarded(call: Node) -> bool {
    let Some(call) = call.cast::<pg_sys::FuncExpr>() else {
        return false;
    };
    let document = node::list(call.args).get(1).copied();
    POPULATED.contains(&call.funcid.to_u32()) && document.is_some_and(is_guarded)
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn only_strings_that_may_be_dates_of_the_clock_are_refused() {
        assert!(checked(r#"{"at": "now"}"#).is_err());
        assert!(checked(r#"[{"a": ["Today 10:00 Europe/Vienna"]}]"#).is_err());
        assert!(checked(r#"{"at": "\u006eow"}"#).is_err());
        assert!(checked(r#"{"at": "today 10:00 America/Argentina/Buenos_Aires"}"#).is_err());
        assert!(checked(r#"["today at,On on on on on on on on"]"#).is_err());
        assert!(checked(r#"{"today": 5, "now" : "2024-01-01"}"#).is_ok());
        assert!(checked(r#"{"note": "we know that this will be shipped today"}"#).is_ok());
        assert!(checked(r#"{"note": "known: \"snow\"", "at": null}"#).is_ok());
    }
}

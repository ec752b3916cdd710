//! Text read as a date or time, maintained while no value depends on the clock.
//!
//! `now`, `today`, `tomorrow` and `yesterday` depend on the clock, so a stream table cannot store their date. Only
//! reading a value shows whether it says one of them. So text goes through a function that raises for such words and
//! returns all other text unchanged:
//!
//! ```text
//! t::date  →  pgtrickle.without_clock_words(t)::date
//! ```
//! Unless it raises, both are equal, and depend only on the text and on kept settings. If it raises,
//! there is no state: while there is such a value, AUTO runs the query, by time as well as after changes, and other
//! modes raise the error.

use pgrx::pg_sys;
use pgtrickle_dvm::canary;

use crate::error::{Error, Result, or_report};
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::{altered_node, constant, function, make_node, printed};

const FUNCTION: &str = "without_clock_words";

/// Whether the text of dates or times has a word that is read as the clock says. In arrays and ranges it may be written
/// with quotes and backslashes inside.
pub(super) fn says_clock(text: &str) -> bool {
    let mut text = text.to_ascii_lowercase();
    text.retain(|c| c != '"' && c != '\\');
    let words = ["now", "today", "tomorrow", "yesterday"];
    text.split(|c: char| !c.is_ascii_alphabetic())
        .any(|word| words.contains(&word))
}

/// The text, if it says no word that the clock decides about.
fn checked(text: &str) -> Result<&str> {
    match says_clock(text) && !canary::active(canary::CLOCK_WORD_READ) {
        true => Err(Error::ClockWord(text.to_owned())),
        false => Ok(text),
    }
}

#[pgrx::pg_extern(
    immutable,
    parallel_safe,
    schema = "pgtrickle",
    sql = r#"
CREATE FUNCTION pgtrickle.without_clock_words(value text) RETURNS text
LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION pgtrickle.without_clock_words(text) IS 'the text of a date or time; an error if it says now, today, tomorrow or yesterday';
"#
)]
fn without_clock_words(value: &str) -> &str {
    or_report(checked(value))
}

/// `CASE WHEN function(value::text) IS NULL THEN NULL ELSE value END`: the value, if the function lets its text pass.
pub(super) fn value_if(function: &str, value: Node) -> Option<Node> {
    let guard = function::find("pgtrickle", function, &[pg_sys::TEXTOID]).ok()??;
    let text = as_text(value)?;
    let text = make_node::make_call(guard.to_u32(), pg_sys::TEXTOID, &[text])?;
    let null = make_node::make_null(value.type_oid(), value.typmod(), value.collation())?;
    let is_missing = make_node::make_null_test(text, true)?;
    make_node::make_case(&[(is_missing, null)], Some(value), value)
}

/// Whether a value is let pass by the function.
pub(super) fn is_checked(function: &str, value: Node) -> bool {
    let called = || {
        let case = value.cast::<pg_sys::CaseExpr>()?;
        let when = *node::list_of::<pg_sys::CaseWhen>(case.args).first()?;
        let test = Node::new(when.expr)?.cast::<pg_sys::NullTest>()?;
        Some(Node::new(test.arg)?.cast::<pg_sys::FuncExpr>()?.funcid)
    };
    let guard = function::find("pgtrickle", function, &[pg_sys::TEXTOID]);
    guard.is_ok_and(|guard| guard.is_some() && guard == called())
}

fn as_text(value: Node) -> Option<Node> {
    make_node::make_conversion(
        value,
        pg_sys::TEXTOID,
        pg_sys::DEFAULT_COLLATION_OID,
        pg_sys::CoercionForm::COERCE_EXPLICIT_CAST,
    )
}

/// The conversion of an array of text, whose elements may say such a word, with the function around the array.
pub(super) fn guarded_array(
    conversion: &NodeOf<pg_sys::ArrayCoerceExpr>,
    array: Node,
) -> Option<Node> {
    let is_of_text = element_conversions(conversion).is_some_and(|elements| !elements.is_empty());
    if !is_of_text || !printed::is_of_times(conversion.resulttype) || is_checked(FUNCTION, array) {
        return None;
    }
    altered_node::with_array(conversion, value_if(FUNCTION, array)?)
}

/// The conversions of text in that of an array's elements.
fn element_conversions(conversion: &NodeOf<pg_sys::ArrayCoerceExpr>) -> Option<Vec<Node>> {
    let mut found = Vec::new();
    Node::new(conversion.elemexpr)?.walk(&mut |node| {
        if node.is::<pg_sys::CoerceViaIO>() {
            found.push(node);
        }
        Walk::Descend
    });
    Some(found)
}

/// The conversions of elements of an array that stands behind the function.
pub(super) fn guarded_elements(conversion: &NodeOf<pg_sys::ArrayCoerceExpr>) -> Vec<Node> {
    let is_guarded = Node::new(conversion.arg).is_some_and(|array| is_checked(FUNCTION, array));
    match is_guarded {
        true => element_conversions(conversion).unwrap_or_default(),
        false => Vec::new(),
    }
}

/// The conversion of text that may say such a word, with the function around the text, which is `argument`; `None` for
/// any other, and for elements of an array, which has the function around itself.
pub(super) fn guarded(conversion: &NodeOf<pg_sys::CoerceViaIO>, argument: Node) -> Option<Node> {
    let is_free =
        constant::text(argument).is_none() && !argument.contains::<pg_sys::CaseTestExpr>();
    if !is_free || !printed::is_of_times(conversion.resulttype) {
        return None;
    }
    let guard = function::find("pgtrickle", FUNCTION, &[pg_sys::TEXTOID]).ok()??;
    let text = match argument.type_oid() {
        pg_sys::TEXTOID => argument,
        _ => as_text(argument)?,
    };
    let text = make_node::make_call(guard.to_u32(), pg_sys::TEXTOID, &[text])?;
    make_node::make_conversion(
        text,
        conversion.resulttype,
        conversion.resultcollid,
        conversion.coerceformat,
    )
}

/// Whether the text is what the function returns.
pub(super) fn is_guarded(text: Node) -> bool {
    let Some(call) = text.cast::<pg_sys::FuncExpr>() else {
        return false;
    };
    let guard = function::find("pgtrickle", FUNCTION, &[pg_sys::TEXTOID]);
    guard.is_ok_and(|guard| guard == Some(call.funcid))
}

#[cfg(test)]
mod tests {
    use super::says_clock;

    #[test]
    fn words_of_the_clock_are_found_in_any_case_and_place() {
        assert!(says_clock("NOW"));
        assert!(says_clock("[2024-01-01, Today)"));
        assert!(says_clock(r#"{"n\ow"}"#));
        assert!(!says_clock("2024-01-01 10:00 Europe/Vienna"));
        assert!(!says_clock("infinity"));
        assert!(!says_clock("known"));
        assert!(says_clock("today10:00"));
    }
}

//! Text made a date or time, maintained as long as no value says what the clock decides.
//!
//! `now`, `today`, `tomorrow` and `yesterday` are read as the clock says, so that a value which says one of them has no
//! date that a stream table could keep. Whether any does is known only when it is read. In what is maintained, text
//! therefore goes through a function that raises for such words and returns all other text as it is:
//!
//! ```text
//! t::date  →  pgtrickle.without_clock_words(t)::date
//! ```
//! Where nothing is raised, both are the same, and depend on the text and on kept settings alone. Where something is,
//! there is no state: AUTO runs the query for as long as there is such a value, by time as well as after changes, other
//! modes raise the error.

use pgrx::pg_sys;

use crate::error::{Error, Result, or_report};
use crate::pg::node::{Node, NodeOf, Walk};
use crate::pg::{constant, function, make_node, printed};

const FUNCTION: &str = "without_clock_words";

/// Whether the text of dates or times has a word that is read as the clock says. In arrays and ranges it may be written
/// with quotes and backslashes inside.
pub(super) fn says_clock(text: &str) -> bool {
    let mut text = text.to_ascii_lowercase();
    text.retain(|c| c != '"' && c != '\\');
    let words = ["now", "today", "tomorrow", "yesterday"];
    words.iter().any(|word| text.contains(word))
}

/// The text, if it says no word that the clock decides about.
fn checked(text: &str) -> Result<&str> {
    match says_clock(text) {
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

/// The conversion of text that may say such a word, with the function around the text, which is `argument`; `None` for
/// any other, and for elements of an array: they are printed as one conversion of the whole array, which has no place
/// for a function.
pub(super) fn guarded(conversion: &NodeOf<pg_sys::CoerceViaIO>, argument: Node) -> Option<Node> {
    let is_free =
        constant::text(argument).is_none() && !argument.contains::<pg_sys::CaseTestExpr>();
    if !is_free || !printed::is_of_times(conversion.resulttype) {
        return None;
    }
    let guard = function::find("pgtrickle", FUNCTION, &[pg_sys::TEXTOID]).ok()??;
    let text = match argument.type_oid() {
        pg_sys::TEXTOID => argument,
        _ => make_node::make_conversion(
            argument,
            pg_sys::TEXTOID,
            pg_sys::DEFAULT_COLLATION_OID,
            pg_sys::CoercionForm::COERCE_EXPLICIT_CAST,
        )?,
    };
    let text = make_node::make_call(guard.to_u32(), pg_sys::TEXTOID, &[text])?;
    make_node::make_conversion(
        text,
        conversion.resulttype,
        conversion.resultcollid,
        conversion.coerceformat,
    )
}

/// Whether an expression converts text that may say such a word.
pub(super) fn may_say_clock(expr: Node) -> bool {
    expr.walk(&mut |node| {
        let conversion = node.cast::<pg_sys::CoerceViaIO>();
        let may = conversion.is_some_and(|conversion| {
            Node::new(conversion.arg).is_some_and(|text| guarded(&conversion, text).is_some())
        });
        if may { Walk::Stop } else { Walk::Descend }
    })
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
    }
}

//! The values of constants in expressions.

use pgrx::{AnyNumeric, FromDatum, pg_sys};

use super::node::Node;
use super::types;

/// A constant of this type that is not NULL.
fn datum(node: Node, type_oid: pg_sys::Oid) -> Option<pg_sys::Datum> {
    let constant = node.cast::<pg_sys::Const>()?;
    (constant.consttype == type_oid && !constant.constisnull).then_some(constant.constvalue)
}

/// The text of a constant.
pub fn text(node: Node) -> Option<String> {
    text_of(&*node.cast::<pg_sys::Const>()?)
}

/// As above.
pub fn text_of(constant: &pg_sys::Const) -> Option<String> {
    if constant.consttype != pg_sys::TEXTOID {
        return None;
    }
    // SAFETY: a text, or NULL.
    unsafe { String::from_datum(constant.constvalue, constant.constisnull) }
}

/// A constant path of SQL/JSON, as the server prints it.
pub fn path(node: Node) -> Option<String> {
    let value = datum(node, pg_sys::JSONPATHOID)?;
    // SAFETY: a path that is not NULL; its output function returns a fresh C string.
    Some(super::node::text(unsafe {
        pg_sys::OidOutputFunctionCall(types::output_function(pg_sys::JSONPATHOID), value)
    }))
}

/// The value of a constant integer.
pub fn integer_of(constant: &pg_sys::Const) -> Option<i32> {
    if constant.consttype != pg_sys::INT4OID {
        return None;
    }
    // SAFETY: an integer, or NULL.
    unsafe { i32::from_datum(constant.constvalue, constant.constisnull) }
}

/// A constant of type numeric, or of a domain over it, as the server prints it.
pub fn printed_numeric(constant: &pg_sys::Const) -> Option<String> {
    let (base, _) = types::base_type(constant.consttype, constant.consttypmod);
    if base != pg_sys::NUMERICOID {
        return None;
    }
    // SAFETY: a numeric, or NULL.
    let value = unsafe { AnyNumeric::from_datum(constant.constvalue, constant.constisnull) };
    value.map(|value| value.to_string())
}

/// What a constant interval is compared by, in microseconds: a month has 30 days there, and a day 24 hours.
pub fn microseconds(node: Node) -> Option<i64> {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let datum = datum(node, pg_sys::INTERVALOID)?;
    // SAFETY: an interval that is not NULL, by reference.
    let interval = unsafe { *datum.cast_mut_ptr::<pg_sys::Interval>() };
    let days = i64::from(interval.month) * 30 + i64::from(interval.day);
    days.checked_mul(DAY)?.checked_add(interval.time)
}

/// Whether a constant interval consists of hours, minutes and seconds only, which are the same everywhere
/// and at any time.
pub fn is_duration(node: Node) -> bool {
    datum(node, pg_sys::INTERVALOID).is_some_and(|datum| {
        // SAFETY: an interval that is not NULL, by reference.
        let interval = unsafe { &*datum.cast_mut_ptr::<pg_sys::Interval>() };
        interval.month == 0 && interval.day == 0
    })
}

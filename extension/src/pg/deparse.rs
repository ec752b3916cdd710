//! Printing expressions, types and names, independent of the session's settings.

use pgrx::pg_sys;

use super::local_settings::set_on_level;
use super::node::{Node, NodeOf, copy_query, map_expressions, text};
use super::settings::Level;
use super::whole_row;

/// Pins everything that changes how the server prints expressions: the search path, and the
/// formats of literals. Undone on drop; an aborting transaction undoes it by itself.
pub struct PrintSettings {
    _level: Level,
}

/// Settings that influence printed literals, with values under which any session reads them back
/// as the same value. Money is printed as it is read: by the `lc_monetary` in force.
const PINNED: [(&std::ffi::CStr, &std::ffi::CStr); 8] = [
    (c"TimeZone", c"UTC"),
    (c"DateStyle", c"ISO, YMD"),
    (c"IntervalStyle", c"postgres"),
    (c"extra_float_digits", c"1"),
    (c"bytea_output", c"hex"),
    (c"standard_conforming_strings", c"on"),
    (c"quote_all_identifiers", c"off"),
    (c"array_nulls", c"on"),
];

impl PrintSettings {
    /// Pins the settings.
    pub fn pin() -> Self {
        let level = Level::begin();
        // SAFETY: sets a setting on the level.
        unsafe { pg_sys::RestrictSearchPath() };
        for (name, value) in PINNED {
            set_on_level(name, value);
        }
        Self { _level: level }
    }
}

/// An expression without column references, as text. Implicit coercions are printed, so that the
/// text means the same wherever its parts are put.
pub fn expression(expr: Node) -> String {
    let expr = whole_row::named(expr);
    // SAFETY: a valid expression; parameters are printed as `$n`, and no context is needed because
    // there are no column references.
    text(unsafe { pg_sys::deparse_expression(expr.as_ptr(), std::ptr::null_mut(), false, true) })
}

/// A query, as text on several lines. The server scribbles on what it prints, so it prints a copy.
pub fn query(query: NodeOf<pg_sys::Query>) -> String {
    let copy = map_expressions(copy_query(query), &mut whole_row::named);
    // SAFETY: a valid query to which no one else has a reference.
    text(unsafe { pg_sys::pg_get_querydef(copy.as_ptr(), false) })
}

/// A type with its modifier, as text.
pub fn type_name(type_oid: pg_sys::Oid, typmod: i32) -> String {
    // SAFETY: any OID is allowed; unknown ones are printed as such.
    text(unsafe {
        pg_sys::format_type_extended(
            type_oid,
            typmod,
            (pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN | pg_sys::FORMAT_TYPE_ALLOW_INVALID) as _,
        )
    })
}

/// A collation's name, quoted and qualified where needed.
pub fn collation_name(collation: pg_sys::Oid) -> String {
    // SAFETY: the OID comes from a catalog or a node tree, so the collation exists.
    text(unsafe { pg_sys::generate_collation_name(collation) })
}

//! What the engine must know about types, cached per analysis.

use std::collections::HashMap;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::ColumnType;

use super::display_scale::Scale;
use crate::pg::{deparse, settings, types};

/// Longest value, in bytes, that counts as short beside others in a btree entry.
const SHORT_BYTES_MAX: i32 = 512;

/// Facts about the types met so far.
pub(super) struct TypeFacts {
    known: HashMap<(pg_sys::Oid, i32, pg_sys::Oid), ColumnType>,
    prints_whole_floats: bool,
}

impl TypeFacts {
    /// None are known yet. The text of floats is that of the settings in force now.
    pub fn new() -> Self {
        TypeFacts {
            known: HashMap::new(),
            prints_whole_floats: settings::prints_whole_floats(),
        }
    }

    /// The facts of a type with modifier and collation; `scale` is the display scale of the
    /// values where it is known better than by the modifier.
    pub fn column_type(
        &mut self,
        type_oid: pg_sys::Oid,
        typmod: i32,
        collation: pg_sys::Oid,
        scale: Scale,
    ) -> ColumnType {
        let mut ty = self
            .known
            .entry((type_oid, typmod, collation))
            .or_insert_with(|| {
                let base = types::base_type(type_oid, typmod).0;
                ColumnType {
                    reads_back: reads_back(base, self.prints_whole_floats),
                    ..look_up(type_oid, typmod, collation)
                }
            })
            .clone();
        if scale != Scale::Unknown && types::base_type(type_oid, typmod).0 == pg_sys::NUMERICOID {
            ty.image_equality = true;
        }
        ty
    }
}

fn look_up(type_oid: pg_sys::Oid, typmod: i32, collation: pg_sys::Oid) -> ColumnType {
    let known = collation != pg_sys::InvalidOid;
    let (base, base_typmod) = types::base_type(type_oid, typmod);
    ColumnType {
        sql: deparse::type_name(type_oid, typmod),
        collation: (known && collation != types::default_collation(type_oid))
            .then(|| deparse::collation_name(collation)),
        equality: types::operator_text(types::equality_operator(base)),
        image_equality: is_image_equality(base, base_typmod, collation),
        // What no table can hold cannot be kept in order either.
        sortable: types::ordering(base).is_some()
            && types::kind(base) != pg_sys::TYPTYPE_PSEUDO
            && !types::hashes_without_function(base),
        reads_back: false,
        hashable: types::is_hashable(base),
        bounded: is_bounded(base, base_typmod),
    }
}

/// Whether the text of a value without an order is read as the same value.
fn reads_back(base: pg_sys::Oid, prints_whole_floats: bool) -> bool {
    use pg_sys::{
        BOXOID, CIRCLEOID, JSONOID, JSONPATHOID, LINEOID, LSEGOID, PATHOID, POINTOID, POLYGONOID,
    };
    match base {
        JSONOID | JSONPATHOID => true,
        POINTOID | LSEGOID | LINEOID | BOXOID | PATHOID | POLYGONOID | CIRCLEOID => {
            prints_whole_floats
        }
        _ => false,
    }
}

/// The server's own support function answers for most types. It knows no modifiers: `numeric` with
/// a fixed scale shows equal values alike, and `character` without a length keeps trailing blanks
/// that its equality ignores.
pub(super) fn is_image_equality(base: pg_sys::Oid, typmod: i32, collation: pg_sys::Oid) -> bool {
    match base {
        pg_sys::NUMERICOID => Scale::of_typmod(typmod) != Scale::Unknown,
        pg_sys::BPCHAROID if typmod < 0 => false,
        _ => types::equality_is_image(base, collation),
    }
}

fn is_bounded(base: pg_sys::Oid, typmod: i32) -> bool {
    let fits = |bytes: Option<i32>| bytes.is_some_and(|bytes| bytes <= SHORT_BYTES_MAX);
    match base {
        _ if types::length(base) > 0 => true,
        pg_sys::NUMERICOID | pg_sys::INETOID | pg_sys::CIDROID => true,
        pg_sys::VARCHAROID | pg_sys::BPCHAROID => {
            typmod > 4 && fits((typmod - 4).checked_mul(types::character_bytes_max()))
        }
        pg_sys::BITOID | pg_sys::VARBITOID => typmod >= 0 && fits(Some(typmod / 8 + 8)),
        _ if types::kind(base) == pg_sys::TYPTYPE_RANGE => {
            types::length(types::range_subtype(base)) > 0
        }
        _ => false,
    }
}

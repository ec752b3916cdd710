//! What the text of a value depends on: the value, the settings of the session, the definition of its type.
//!
//! The server declares the output of arrays, rows, ranges and enums stable, and so whatever prints values of
//! any type, because what is inside of them may be. Here it is looked up what is. Names of fields and labels
//! of enums are in the text and can change: they are collected, so that a change is noticed.

use pgrx::pg_sys;

use super::node::{self, text};
use super::table::TableFacts;
use super::{catalog_scan, deparse, types};

/// How a value is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As text.
    Text,
    /// As JSON text.
    Json,
    /// As `jsonb`.
    Jsonb,
}

/// What printed values depend on besides the values.
#[derive(Debug, Default)]
pub struct Definitions {
    /// Enums with their labels, row types with the names of their fields.
    pub described: Vec<String>,
    /// The relations that the row types belong to.
    pub relations: Vec<pg_sys::Oid>,
}

/// Whether printing a value of the type depends on no setting.
pub fn is_fixed(type_oid: pg_sys::Oid, form: Form, found: &mut Definitions) -> bool {
    node::check_stack_depth();
    let (base, _) = types::base_type(type_oid, -1);
    // SAFETY: catalog look-ups; `InvalidOid` where there is nothing.
    let (element, range, relation) = unsafe {
        (
            pg_sys::get_element_type(base),
            pg_sys::get_multirange_range(base),
            pg_sys::get_typ_typrelid(base),
        )
    };
    if element != pg_sys::InvalidOid {
        return is_fixed(element, form, found);
    }
    match types::kind(base) {
        pg_sys::TYPTYPE_ENUM => {
            found.described.push(labels(base));
            true
        }
        pg_sys::TYPTYPE_RANGE => is_fixed(types::range_subtype(base), Form::Text, found),
        pg_sys::TYPTYPE_MULTIRANGE => is_fixed(range, Form::Text, found),
        pg_sys::TYPTYPE_COMPOSITE => row_is_fixed(base, relation, form, found),
        _ => match (form, base) {
            // JSON has one form of them.
            (Form::Json | Form::Jsonb, pg_sys::DATEOID | pg_sys::TIMESTAMPOID) => true,
            (Form::Text, _) => types::output_is_immutable(base),
            (Form::Json, _) => types::json_is_immutable(base, false),
            (Form::Jsonb, _) => types::json_is_immutable(base, true),
        },
    }
}

fn row_is_fixed(
    type_oid: pg_sys::Oid,
    relation: pg_sys::Oid,
    form: Form,
    found: &mut Definitions,
) -> bool {
    let Some(facts) = TableFacts::load(relation) else {
        return false;
    };
    let names: Vec<&str> = facts.attributes.iter().map(|a| a.name.as_str()).collect();
    let name = type_oid.to_u32();
    found
        .described
        .push(format!("{name} ({})", names.join(", ")));
    found.relations.push(relation);
    facts
        .attributes
        .iter()
        .all(|attribute| is_fixed(attribute.type_oid, form, found))
}

/// The enum with its labels.
fn labels(type_oid: pg_sys::Oid) -> String {
    let mut labels = Vec::new();
    let keys = [catalog_scan::oid_key(
        pg_sys::Anum_pg_enum_enumtypid,
        type_oid,
    )];
    let index = pg_sys::Oid::from(pg_sys::EnumTypIdLabelIndexId);
    catalog_scan::each(pg_sys::EnumRelationId, index, &keys, |row| {
        // SAFETY: a row of pg_enum, valid during the call.
        let row = unsafe { &*row.cast::<pg_sys::FormData_pg_enum>() };
        labels.push(format!(
            "{} {}",
            row.oid.to_u32(),
            deparse::quoted(&text(row.enumlabel.data.as_ptr()))
        ));
        true
    });
    // Only existing labels matter, and new ones are printed nowhere yet.
    labels.sort_unstable();
    format!("{} {}", type_oid.to_u32(), labels.join(", "))
}

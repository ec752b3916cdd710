//! Values as text: what printing and parsing them depends on.
//!
//! The server declares the output of arrays, rows, ranges and enums stable, and so everything that prints values of
//! any type, because their elements' output may be. Here the elements are looked up. Names of fields and labels
//! of enums are in the text and can change, so they are collected.

use pgrx::pg_sys;

use super::node::{self, text};
use super::reads::{Form, Other, Reading, Reads};
use super::table::TableFacts;
use super::{catalog_scan, name, types};

/// What a type is made of.
enum Made {
    Array(pg_sys::Oid),
    Range(pg_sys::Oid),
    Row(pg_sys::Oid),
    Enum,
    Plain,
}

fn made_of(base: pg_sys::Oid) -> Made {
    // SAFETY: catalog look-ups; `InvalidOid` where there is nothing.
    let (element, range, relation) = unsafe {
        (
            pg_sys::get_element_type(base),
            pg_sys::get_multirange_range(base),
            pg_sys::get_typ_typrelid(base),
        )
    };
    match types::kind(base) {
        _ if element != pg_sys::InvalidOid => Made::Array(element),
        pg_sys::TYPTYPE_ENUM => Made::Enum,
        pg_sys::TYPTYPE_RANGE => Made::Range(types::range_subtype(base)),
        pg_sys::TYPTYPE_MULTIRANGE => Made::Range(types::range_subtype(range)),
        pg_sys::TYPTYPE_COMPOSITE => Made::Row(relation),
        _ => Made::Plain,
    }
}

/// Adds what printing a value of the type reads.
pub fn output(type_oid: pg_sys::Oid, form: Form, reads: &mut Reads) {
    node::check_stack_depth();
    let (base, _) = types::base_type(type_oid, -1);
    match made_of(base) {
        Made::Array(element) => output(element, form, reads),
        Made::Range(subtype) => output(subtype, Form::Text, reads),
        Made::Enum => reads.described.push(labels(base)),
        Made::Row(relation) => {
            for field in fields(base, relation, reads) {
                output(field, form, reads);
            }
        }
        Made::Plain => plain_output(base, form, reads),
    }
}

fn plain_output(base: pg_sys::Oid, form: Form, reads: &mut Reads) {
    match (form, base) {
        // JSON and XML have one form of them.
        (Form::Json | Form::Jsonb | Form::Xml, pg_sys::DATEOID | pg_sys::TIMESTAMPOID) => {}
        (Form::Json | Form::Jsonb | Form::Xml, pg_sys::TIMESTAMPTZOID) => {
            reads.add(Reading::Setting("TimeZone"));
        }
        (Form::Xml, pg_sys::BYTEAOID) => reads.add(Reading::Setting("xmlbinary")),
        // A cast to JSON may be the user's.
        (Form::Json | Form::Jsonb, _)
            if !types::is_builtin(base) && !types::json_is_immutable(base, form == Form::Jsonb) =>
        {
            reads.add(Reading::Other(Other::Unknown));
        }
        _ => reads.add_function(types::output_function(base)),
    }
}

/// Adds what reading a value of the type from text reads. Words like `now` are read as the clock says, which is left
/// out where `has_clock_words` says that the text has none.
pub fn input(type_oid: pg_sys::Oid, has_clock_words: bool, reads: &mut Reads) {
    node::check_stack_depth();
    let (base, _) = types::base_type(type_oid, -1);
    match made_of(base) {
        Made::Array(element) => {
            reads.add(Reading::Setting("array_nulls"));
            input(element, has_clock_words, reads);
        }
        Made::Range(subtype) => input(subtype, has_clock_words, reads),
        Made::Enum => reads.described.push(labels(base)),
        Made::Row(relation) => {
            for field in fields(base, relation, reads) {
                input(field, has_clock_words, reads);
            }
        }
        Made::Plain => plain_input(base, has_clock_words, reads),
    }
}

fn plain_input(base: pg_sys::Oid, has_clock_words: bool, reads: &mut Reads) {
    let settings: &[&'static str] = match base {
        pg_sys::DATEOID | pg_sys::TIMESTAMPOID => &["DateStyle"],
        pg_sys::TIMESTAMPTZOID => &["TimeZone", "DateStyle", "timezone_abbreviations"],
        pg_sys::TIMEOID => &["timezone_abbreviations"],
        _ => return reads.add_function(types::input_function(base)),
    };
    for name in settings {
        reads.add(Reading::Setting(name));
    }
    if has_clock_words {
        reads.add(Reading::Other(Other::Clock));
    }
}

/// Whether text of the type is nothing but dates and times, in which a word like `now` is read as the clock says.
pub fn is_of_times(type_oid: pg_sys::Oid) -> bool {
    const TIMES: [pg_sys::Oid; 4] = [
        pg_sys::DATEOID,
        pg_sys::TIMESTAMPOID,
        pg_sys::TIMESTAMPTZOID,
        pg_sys::TIMEOID,
    ];
    let (base, _) = types::base_type(type_oid, -1);
    match made_of(base) {
        Made::Array(inner) | Made::Range(inner) => is_of_times(inner),
        Made::Row(_) | Made::Enum => false,
        Made::Plain => TIMES.contains(&base),
    }
}

/// The types of a row's fields, whose names are noted.
fn fields(type_oid: pg_sys::Oid, relation: pg_sys::Oid, reads: &mut Reads) -> Vec<pg_sys::Oid> {
    let Some(facts) = TableFacts::load(relation) else {
        reads.add(Reading::Other(Other::Unknown));
        return Vec::new();
    };
    let names: Vec<&str> = facts.attributes.iter().map(|a| a.name.as_str()).collect();
    let name = type_oid.to_u32();
    reads
        .described
        .push(format!("{name} ({})", names.join(", ")));
    reads.relations.push(relation);
    facts.attributes.iter().map(|a| a.type_oid).collect()
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
            name::quote(&text(row.enumlabel.data.as_ptr()))
        ));
        true
    });
    // Only existing labels matter, and new ones are printed nowhere yet.
    labels.sort_unstable();
    format!("{} {}", type_oid.to_u32(), labels.join(", "))
}

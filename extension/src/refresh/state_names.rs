//! The names of the state tables of a stream table, the tables of these names, and the stream table that one is a part of.

use pgrx::pg_sys;
use pgtrickle_dvm::sql::{image_table, state_table};

use crate::catalog;
use crate::error::{Error, Result};
use crate::pg::name;

/// Qualified prefix of the state tables of a stream table.
pub fn state_prefix(pgt_id: i64) -> String {
    format!("pgtrickle_state.st_{pgt_id}_")
}

/// The state table of a node.
pub fn state_table_oid(state_prefix: &str, node: usize) -> Result<pg_sys::Oid> {
    table_oid(&state_table(state_prefix, node))
}

/// The table with the rows of an image.
pub fn image_table_oid(state_prefix: &str, image: usize) -> Result<pg_sys::Oid> {
    table_oid(&image_table(state_prefix, image))
}

/// The table of this name.
pub fn table_oid(relation: &str) -> Result<pg_sys::Oid> {
    name::find_relation(relation)?
        .ok_or_else(|| Error::Internal(format!("state table {relation} does not exist")))
}

/// The state tables that there are, with those of images.
pub fn state_tables(pgt_id: i64) -> Result<Vec<pg_sys::Oid>> {
    name::tables_with_stem("pgtrickle_state", &format!("st_{pgt_id}"))
}

/// The id of the stream table that this may be a part of, by its name.
pub fn id_of_part(relid: pg_sys::Oid) -> Option<i64> {
    let part = name::relation_name(relid)?;
    let mut words = part.split('_');
    matches!(words.next(), Some("st" | "view")).then_some(())?;
    words.next()?.parse().ok()
}

/// What users know a relation as: the stream table that it is a part of, or its own name.
pub fn shown_name(relid: pg_sys::Oid) -> Result<String> {
    let part = id_of_part(relid).filter(|_| name::is_in(relid, "pgtrickle_state"));
    let whole = match part {
        Some(pgt_id) => catalog::load(pgt_id)?.map(|table| table.relid),
        None => None,
    };
    Ok(name::relation_name(whole.unwrap_or(relid)).unwrap_or_default())
}

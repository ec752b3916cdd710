//! Stream tables by the names of their tables.

use std::collections::HashMap;

use pgrx::pg_sys;

use super::definitions::{Known, renew};
use super::stream_table::{StreamTable, find_id, load_by_relid};
use crate::error::{Error, Result};
use crate::pg::lock_mode::LockMode;
use crate::pg::name;
use crate::pg::relation::Relation;

thread_local! {
    /// The ids of stream tables by their tables.
    static IDS: Known<HashMap<u32, i64>> = Known::default();
}

/// The stream table that a name denotes, as a cast to `regclass` reads it.
pub fn by_name(text: &str) -> Result<StreamTable> {
    let relid = relation(text)?;
    load_by_relid(relid)?.ok_or_else(|| none(text, relid))
}

/// The id and the table of the stream table that a name denotes, without the rest of its row.
pub fn id_by_name(text: &str) -> Result<(i64, pg_sys::Oid)> {
    let relid = relation(text)?;
    renew(&IDS)?;
    if let Some(known) = IDS.with_borrow(|(_, ids)| ids.get(&relid.to_u32()).copied()) {
        return Ok((known, relid));
    }
    let found = find_id(relid)?.ok_or_else(|| none(text, relid))?;
    IDS.with_borrow_mut(|(_, ids)| ids.insert(relid.to_u32(), found));
    Ok((found, relid))
}

/// That the relation of this name is no stream table, or not there any more: a session that has dropped it may have told
/// us since we found it, and has when it has released its lock.
fn none(text: &str, relid: pg_sys::Oid) -> Error {
    match Relation::try_open(relid, LockMode::AccessShare) {
        Some(_) => Error::NotAStreamTable(text.to_owned()),
        None => Error::UnknownStreamTable(text.to_owned()),
    }
}

fn relation(text: &str) -> Result<pg_sys::Oid> {
    name::find_relation(text)?.ok_or_else(|| Error::UnknownStreamTable(text.to_owned()))
}

//! Stream tables by the names of their tables.

use std::collections::HashMap;

use pgrx::pg_sys;

use super::definitions::{Known, renew};
use super::stream_table::{StreamTable, find_id, load_by_relid};
use crate::error::{Error, Result};
use crate::pg::name;

thread_local! {
    /// The ids of stream tables by their tables.
    static IDS: Known<HashMap<u32, i64>> = Known::default();
}

/// The stream table that a name denotes, as a cast to `regclass` reads it.
pub fn by_name(text: &str) -> Result<StreamTable> {
    load_by_relid(relation(text)?)?.ok_or_else(|| Error::NotAStreamTable(text.to_owned()))
}

/// The id and the table of the stream table that a name denotes, without the rest of its row.
pub fn id_by_name(text: &str) -> Result<(i64, pg_sys::Oid)> {
    let relid = relation(text)?;
    renew(&IDS)?;
    if let Some(known) = IDS.with_borrow(|(_, ids)| ids.get(&relid.to_u32()).copied()) {
        return Ok((known, relid));
    }
    let found = find_id(relid)?.ok_or_else(|| Error::NotAStreamTable(text.to_owned()))?;
    IDS.with_borrow_mut(|(_, ids)| ids.insert(relid.to_u32(), found));
    Ok((found, relid))
}

fn relation(text: &str) -> Result<pg_sys::Oid> {
    name::find_relation(text)?.ok_or_else(|| Error::UnknownStreamTable(text.to_owned()))
}

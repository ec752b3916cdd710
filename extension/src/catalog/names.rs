//! Stream tables by the names of their tables.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::pg_sys;

use super::definitions::Definitions;
use super::stream_table::{StreamTable, find_id, load_by_relid};
use crate::error::{Error, Result};
use crate::pg::name;

/// The stream table that a name denotes, as a cast to `regclass` reads it.
pub fn by_name(text: &str) -> Result<StreamTable> {
    let relid =
        name::find_relation(text)?.ok_or_else(|| Error::UnknownStreamTable(text.to_owned()))?;
    load_by_relid(relid)?.ok_or_else(|| Error::NotAStreamTable(text.to_owned()))
}

thread_local! {
    /// The ids of stream tables by their tables, and the definitions that these are from.
    static IDS: RefCell<(Option<Definitions>, HashMap<u32, i64>)> = RefCell::default();
}

/// The id and the table of the stream table that a name denotes, without the rest of its row.
pub fn id_by_name(text: &str) -> Result<(i64, pg_sys::Oid)> {
    let relid =
        name::find_relation(text)?.ok_or_else(|| Error::UnknownStreamTable(text.to_owned()))?;
    let (definitions, known) =
        IDS.with_borrow(|(definitions, ids)| (*definitions, ids.get(&relid.to_u32()).copied()));
    let is_current = match definitions {
        Some(definitions) => definitions.are_current()?,
        None => false,
    };
    match known {
        Some(pgt_id) if is_current => return Ok((pgt_id, relid)),
        _ if is_current => {}
        _ => IDS.set((Some(Definitions::present()?), HashMap::new())),
    }
    let found = find_id(relid)?.ok_or_else(|| Error::NotAStreamTable(text.to_owned()))?;
    IDS.with_borrow_mut(|(_, ids)| ids.insert(relid.to_u32(), found));
    Ok((found, relid))
}

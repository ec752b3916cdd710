//! A session's cache of facts about all stream tables, valid until a definition changes, so that unrelated
//! commands do not read them all.

use std::rc::Rc;

use super::definitions::{Known, renew};
use super::last_writer;
use super::modes::RefreshMode;
use super::stream_table::{self, StreamTable};
use crate::error::Result;

thread_local! {
    /// The ids of those in IMMEDIATE mode, ascending.
    static IMMEDIATE: Known<Option<Rc<Vec<i64>>>> = Known::default();
}

fn immediate_ids() -> Result<Rc<Vec<i64>>> {
    // Each that follows has had a writer: who filled it.
    if !last_writer::has_been_any()? {
        return Ok(Rc::default());
    }
    renew(&IMMEDIATE)?;
    if let Some(known) = IMMEDIATE.with_borrow(|(_, known)| known.clone()) {
        return Ok(known);
    }
    let mut found = Vec::new();
    stream_table::visit_modes(&mut |pgt_id, mode| {
        if mode == RefreshMode::Immediate {
            found.push(pgt_id);
        }
    })?;
    found.sort_unstable();
    let found = Rc::new(found);
    IMMEDIATE.with_borrow_mut(|(_, known)| *known = Some(found.clone()));
    Ok(found)
}

/// The filled stream tables in IMMEDIATE mode, by rising id, and perhaps others in that mode.
pub fn immediate() -> Result<Vec<StreamTable>> {
    let mut tables = Vec::new();
    for id in immediate_ids()?.iter() {
        tables.extend(stream_table::load(*id)?);
    }
    Ok(tables)
}

/// Whether there are any.
pub fn has_immediate() -> Result<bool> {
    Ok(!immediate_ids()?.is_empty())
}

//! What a session looks for among all stream tables, kept until a definition changes, so that a command on
//! something else does not read them all.

use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys;

use super::definitions::{Known, renew};
use super::modes::RefreshMode;
use super::stream_table::{self, StreamTable};
use crate::error::Result;

#[derive(Debug, Default)]
struct Overview {
    by_view: HashMap<u32, i64>,
    /// Those in IMMEDIATE mode, ascending.
    immediate: Vec<i64>,
}

thread_local! {
    static OVERVIEW: Known<Option<Rc<Overview>>> = Known::default();
}

fn overview() -> Result<Rc<Overview>> {
    renew(&OVERVIEW)?;
    if let Some(known) = OVERVIEW.with_borrow(|(_, known)| known.clone()) {
        return Ok(known);
    }
    let mut found = Overview::default();
    stream_table::visit_parts(&mut |pgt_id, view, mode| {
        found.by_view.insert(view.to_u32(), pgt_id);
        if mode == RefreshMode::Immediate {
            found.immediate.push(pgt_id);
        }
    })?;
    found.immediate.sort_unstable();
    let found = Rc::new(found);
    OVERVIEW.with_borrow_mut(|(_, known)| *known = Some(found.clone()));
    Ok(found)
}

/// The ids of the stream tables with one of these internal views.
pub fn ids_by_view(views: &[pg_sys::Oid]) -> Result<Vec<i64>> {
    let overview = overview()?;
    let ids = views
        .iter()
        .filter_map(|view| overview.by_view.get(&view.to_u32()).copied());
    Ok(ids.collect())
}

/// The stream tables in IMMEDIATE mode, by rising id.
pub fn immediate() -> Result<Vec<StreamTable>> {
    let mut tables = Vec::new();
    for id in &overview()?.immediate {
        tables.extend(stream_table::load(*id)?);
    }
    Ok(tables)
}

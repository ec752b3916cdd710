//! Removing change rows that are no longer needed.

use std::collections::BTreeSet;

use pgrx::pg_sys;

use crate::catalog::{self, RefreshMode};
use crate::cdc;
use crate::error::Result;

use super::plan_cache;

/// Removes change rows that every consumer has seen, after these were refreshed in a group.
pub fn clean_up_after(refreshed: &[i64]) -> Result<()> {
    let mut sources = BTreeSet::new();
    for pgt_id in refreshed {
        let table = catalog::existing(*pgt_id)?;
        if table.refresh_mode != RefreshMode::Full
            && !table.is_spread()
            && let plan_cache::Outcome::Compiled(compiled) = plan_cache::get(&table)?
        {
            sources.extend(compiled.tables.iter().map(|source| source.oid.to_u32()));
        }
    }
    sources
        .into_iter()
        .try_for_each(|source| clean_up(pg_sys::Oid::from(source)))
}

/// Removes change rows of a source that every consumer has seen.
pub fn clean_up(source: pg_sys::Oid) -> Result<()> {
    if !cdc::wants_cleanup(source)? {
        return Ok(());
    }
    let mut frontiers = Vec::new();
    for consumer in catalog::consumers_of(source)? {
        match consumer.frontier {
            Some(frontier) => frontiers.push(frontier),
            // Not filled yet: it will start at a later snapshot and needs none of these rows,
            // but its frontier is not known, so nothing is removed under it.
            None => return Ok(()),
        }
    }
    cdc::cleanup(source, &frontiers)
}

//! Recomputing stream tables after changes without a statement on a source.

use pgrx::pg_sys;

use super::follow::wait_for_update;
use super::graph::{self, follows};
use super::running;
use super::told::told_of;
use crate::catalog::{self, StreamTable};
use crate::error::{Error, Result};
use crate::pg::{depend, inherit};
use crate::refresh::prepare::supported;
use crate::refresh::request::Request;
use crate::refresh::transaction::run;

/// Has the readers of tables recomputed whose statements have lost their ends. What waits for them is in that.
pub fn note_abandoned() -> Result<bool> {
    let abandoned = running::take_abandoned();
    for source in &abandoned {
        for reader in &graph::readers_of(*source)?.all {
            running::taken_in_by(reader.pgt_id);
        }
        running::note_rewrite(*source);
    }
    Ok(!abandoned.is_empty())
}

/// Has the readers of a table that is being rewritten recomputed when the command ends.
pub fn note_rewrite(table: pg_sys::Oid) -> Result<()> {
    let source = inherit::root(table);
    if !graph::readers_of(source)?.all.is_empty() {
        running::note_rewrite(source);
    }
    Ok(())
}

/// Recomputes after changes without a statement on a source: stream tables whose plan has changed because
/// a command changed what it depends on, and readers of rewritten tables.
pub fn follow_definitions() -> Result<()> {
    let rewritten = running::take_rewritten();
    let is_there = |table: &&StreamTable| depend::owner_of(table.relid).is_some();
    let followers = catalog::immediate()?;
    for table in followers
        .iter()
        .filter(|table| follows(table))
        .filter(is_there)
    {
        let is_rewritten = || -> Result<bool> {
            if rewritten.is_empty() {
                return Ok(false);
            }
            let sources = catalog::dependencies(table.pgt_id)?;
            Ok(sources.iter().any(|d| rewritten.contains(&d.source)))
        };
        let is_changed = || -> Result<bool> {
            let compiled = match supported(table) {
                Err(Error::Unsupported(obstacles)) => {
                    return Err(Error::CannotFollow(table.plain_name(), obstacles));
                }
                other => other?,
            };
            Ok(table.defining_query_hash != Some(compiled.fingerprint))
        };
        if !(is_rewritten()? || is_changed()?) {
            continue;
        }
        if !catalog::is_current()? {
            wait_for_update(table)?;
        } else {
            let request = Request {
                force_full: true,
                ..Default::default()
            };
            told_of(table, || run(table.pgt_id, request))?;
        }
    }
    Ok(())
}

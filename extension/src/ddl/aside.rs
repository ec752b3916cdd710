//! Sources that can no longer be captured because they get a foreign partition or child. The server would fail
//! every statement that reaches a foreign child while a trigger above it has transition tables. So the command that
//! adds one removes capture, and the readers of the source are recomputed from then on, as their modes say.
//!
//! If an IMMEDIATE stream table reads the source, the command is refused.

use pgrx::pg_sys;

use super::mode;
use crate::catalog::{self, RefreshMode, RequestedMode, StreamTable};
use crate::cdc;
use crate::error::{Error, Result};
use crate::pg::{depend, inherit};
use crate::refresh;

/// Follows a command that has altered a table, which may be one below a source.
pub fn follow(altered: pg_sys::Oid) -> Result<()> {
    for table in inherit::lineage(altered) {
        let readers = catalog::consumers_of(table)?;
        if readers.is_empty() || cdc::obstacle(table)?.is_none() {
            continue;
        }
        for reader in readers {
            if let Some(table) = catalog::load(reader.pgt_id)?
                && table.refresh_mode == RefreshMode::Differential
                && table.require_home().is_ok()
            {
                step_aside(&table)?;
            }
        }
    }
    Ok(())
}

/// Gives up deltas for recomputation. The content stays as it is until the next refresh.
fn step_aside(table: &StreamTable) -> Result<()> {
    catalog::lock(table.pgt_id)?;
    let owner = depend::owner_of(table.relid)
        .ok_or_else(|| Error::UnknownStreamTable(table.plain_name()))?;
    let decision = mode::decide(
        table.view,
        owner,
        &table.settings,
        RequestedMode::Auto,
        None,
    )?;
    if decision.used != RefreshMode::Full {
        return Ok(());
    }
    refresh::release(table.pgt_id)?;
    refresh::drop_state_tables(table.pgt_id)?;
    refresh::drop_key_index(table, None)?;
    refresh::forget(table.pgt_id);
    decision.insert_dependencies(table.pgt_id)?;
    let why = decision.why();
    let why = why.as_ref();
    catalog::set_mode(
        table.pgt_id,
        table.requested_mode,
        decision.used,
        why.map(|(code, reason)| (code.as_str(), reason.as_str())),
    )?;
    decision.announce(&table.plain_name());
    catalog::forget_plan(table.pgt_id)
}

//! Sources that can no longer be captured because they get a foreign partition or child. The server would fail
//! every statement that reaches a foreign child while a trigger above it has transition tables. So the command that
//! adds one removes capture, and the readers of the source are recomputed from then on, as their modes say.
//!
//! If an IMMEDIATE stream table reads the source, the command is refused.
//!
//! The same happens to the readers of a table that becomes unlogged. A command that removes the obstacle, SET LOGGED or
//! DETACH PARTITION, takes them back to deltas.

use pgrx::pg_sys;

use super::mode::{self, Decision};
use super::rebuild;
use crate::capability::{FOREIGN_PARTITION, UNLOGGED_TABLE};
use crate::catalog::{self, RefreshMode, RequestedMode, StreamTable};
use crate::cdc;
use crate::error::{Error, Result};
use crate::pg::lock_mode::LockMode;
use crate::pg::{depend, inherit};
use crate::refresh;

/// Follows a command that has altered a table, which may be one below a source. Commands on other parts of the source do not
/// wait for it, unless it takes readers back to deltas.
pub fn follow(altered: pg_sys::Oid) -> Result<()> {
    for table in inherit::lineage(altered) {
        let readers = catalog::consumers_of(table)?;
        if !readers.is_empty() && cdc::is_obstacle(altered, table) {
            for reader in readers {
                if let Some(table) = catalog::load(reader.pgt_id)?
                    && table.refresh_mode == RefreshMode::Differential
                    && table.require_home().is_ok()
                {
                    step_aside(&table)?;
                }
            }
            continue;
        }
        let aside = aside_for(table)?;
        if aside.is_empty() || cdc::obstacle(table)?.is_some() {
            continue;
        }
        // Another command may be about to add an obstacle, and has found no one who would have to step aside.
        cdc::members(table, LockMode::AccessShare);
        if cdc::obstacle(table)?.is_none() {
            aside.iter().try_for_each(come_back)?;
        }
    }
    Ok(())
}

/// The readers of a source that have stepped aside.
fn aside_for(source: pg_sys::Oid) -> Result<Vec<StreamTable>> {
    let is_aside = |code: &str| [UNLOGGED_TABLE.code, FOREIGN_PARTITION.code].contains(&code);
    let mut aside = Vec::new();
    for pgt_id in catalog::readers_in_full(source)? {
        aside.extend(catalog::load(pgt_id)?.filter(|table| {
            table.requested_mode != RequestedMode::Full
                && table.mode_code.as_deref().is_some_and(is_aside)
                && table.require_home().is_ok()
        }));
    }
    Ok(aside)
}

/// Takes a stream table that has stepped aside back to deltas, if nothing else keeps it. Its next refresh recomputes it.
fn come_back(table: &StreamTable) -> Result<()> {
    let pgt_id = table.pgt_id;
    catalog::lock(pgt_id)?;
    let decision = decide(table)?;
    if decision.used == RefreshMode::Full {
        return Ok(());
    }
    let draft = decision.draft.clone();
    rebuild::redecide(pgt_id, decision)?;
    refresh::prepare_as_decided(pgt_id, draft)
}

/// Gives up deltas for recomputation. The content stays as it is until the next refresh.
fn step_aside(table: &StreamTable) -> Result<()> {
    catalog::lock(table.pgt_id)?;
    let decision = decide(table)?;
    if decision.used != RefreshMode::Full {
        return Ok(());
    }
    rebuild::redecide(table.pgt_id, decision)
}

/// What its query allows now, whatever mode was asked for; that one stays on record.
fn decide(table: &StreamTable) -> Result<Decision> {
    let owner = depend::owner_of(table.relid)
        .ok_or_else(|| Error::UnknownStreamTable(table.plain_name()))?;
    let requested = RequestedMode::Auto;
    let mut decision = mode::decide(table.view, owner, &table.settings, requested, None)?;
    decision.requested = table.requested_mode;
    Ok(decision)
}

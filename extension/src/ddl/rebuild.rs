//! Rebuilding a stream table after a decision on its mode.

use crate::catalog::{self, RefreshMode, RequestedMode};
use crate::error::{Error, Result};
use crate::pg::depend;
use crate::refresh;

use super::mode::{self, Decision};

/// Decides on the mode again and rebuilds dependencies, state and, if there was any, content.
pub fn rebuild(pgt_id: i64, requested: RequestedMode) -> Result<()> {
    let table = catalog::existing(pgt_id)?;
    let owner = depend::owner_of(table.relid)
        .ok_or_else(|| Error::UnknownStreamTable(table.plain_name()))?;
    let decision = mode::decide(table.view, owner, &table.settings, requested, None)?;
    redecide(pgt_id, decision.clone())?;
    refresh::prepare_as_decided(pgt_id, decision.draft.clone())?;
    if table.is_populated {
        let request = refresh::Request {
            force_full: true,
            ..Default::default()
        };
        if let Some(message) = refresh::run(pgt_id, request)?.failed_for_good() {
            redecide(pgt_id, decision.without_state(message)?)?;
        }
    }
    Ok(())
}

/// Stores a new decision on the mode, and gives up what the former one rested on.
pub fn redecide(pgt_id: i64, decision: Decision) -> Result<()> {
    let table = catalog::existing(pgt_id)?;
    refresh::release(pgt_id)?;
    refresh::drop_state_tables(pgt_id)?;
    if decision.used == RefreshMode::Full {
        refresh::drop_key_index(&table, None)?;
    }
    refresh::forget(pgt_id);
    decision.insert_dependencies(pgt_id)?;
    let why = decision.why();
    catalog::set_mode(
        pgt_id,
        decision.requested,
        decision.used,
        why.as_ref()
            .map(|(code, reason)| (code.as_str(), reason.as_str())),
    )?;
    decision.announce(&table.plain_name());
    catalog::forget_plan(pgt_id)
}

//! Sources and stream tables that become Citus tables. No statement shows this: functions of
//! Citus change its catalog directly. But they give each such table a trigger, whose creation we notice.
//!
//! A refreshed stream table notices at its next refresh, which analyses the query again. An IMMEDIATE one would not,
//! and a stream table that is itself distributed could no longer be written: both are refused when the transaction
//! commits. So is a function of Citus that recreates a table under its old name (`undistribute_table`): it drops
//! what reads the table, and recreates views, but not stream tables.

use std::cell::{Cell, RefCell};

use pgrx::Spi;
use pgrx::pg_sys;

use super::internal_view::{STATE_SCHEMA, view_name};
use crate::catalog::{self, RefreshMode};
use crate::error::{Error, Result};
use crate::pg::{citus, name, object_hook, transaction_end};
use crate::refresh::immediate;

thread_local! {
    /// Whether the current transaction has made a trigger.
    static IS_POSSIBLE: Cell<bool> = const { Cell::new(false) };
    /// Stream tables that it has dropped: ids and names.
    static DROPPED: RefCell<Vec<(i64, String)>> = const { RefCell::new(Vec::new()) };
}

/// Listens to new triggers and to the ends of transactions.
pub fn init() {
    object_hook::listen_to_new_triggers(|| IS_POSSIBLE.set(true));
    transaction_end::check_before_commit(|| keep_dropped().and_then(|()| refuse()));
    transaction_end::listen(|_| {
        IS_POSSIBLE.set(false);
        DROPPED.take();
    });
}

/// A stream table is being dropped. Called by the event trigger of that, which knows its name.
pub fn note_dropped(pgt_id: i64, relid: pg_sys::Oid) -> Result<()> {
    if !citus::is_installed() {
        return Ok(());
    }
    let name = Spi::get_one_with_args::<String>(
        "SELECT object_identity FROM pg_catalog.pg_event_trigger_dropped_objects()
         WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = $1 AND objsubid = 0",
        &[relid.into()],
    );
    let name = name.map_err(|error| Error::Internal(error.to_string()))?;
    DROPPED.with_borrow_mut(|dropped| dropped.push((pgt_id, name.unwrap_or_default())));
    Ok(())
}

/// Refuses to lose a stream table whose view something has made again.
fn keep_dropped() -> Result<()> {
    for (pgt_id, table) in DROPPED.take() {
        let view = format!("{STATE_SCHEMA}.{}", view_name(pgt_id));
        if catalog::exists()
            && catalog::load(pgt_id)?.is_none()
            && name::find_relation(&view)?.is_some()
        {
            return Err(Error::LostToCitus(table));
        }
    }
    Ok(())
}

fn refuse() -> Result<()> {
    if !IS_POSSIBLE.take() || !citus::is_installed() || !catalog::exists() {
        return Ok(());
    }
    for table in catalog::all()? {
        if table.require_home().is_err() {
            continue;
        }
        if !table.is_spread() && citus::kind(table.relid).is_some() {
            return Err(Error::Distributed(table.plain_name()));
        }
        if table.refresh_mode != RefreshMode::Immediate {
            continue;
        }
        let sources = catalog::dependencies(table.pgt_id)?;
        if sources
            .iter()
            .any(|dependency| citus::kind(dependency.source).is_some())
        {
            // The one that can no longer be maintained raises the error.
            return immediate::follow_definitions();
        }
    }
    Ok(())
}

//! Which tables triggers capture, and how: looked up once per session, and again when the table changes.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::pg_sys;

use crate::cdc;
use crate::error::Result;
use crate::pg::capture_trigger::{self, CAPTURE, EACH, IMMEDIATE};
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::{inherit, invalidation, timescale};

/// Beyond so many tables the session forgets what it knows of them.
const KNOWN_MAX: usize = 4096;

/// A table whose changes triggers capture.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// The source that it belongs to.
    pub root: pg_sys::Oid,
    /// Whether its changes go to the source's buffer.
    pub is_captured: bool,
    /// Whether native code puts them there.
    pub is_captured_natively: bool,
    /// Whether IMMEDIATE stream tables follow it.
    pub is_followed: bool,
    /// Whether row triggers capture it for the sources that need that.
    pub is_told_by_rows: bool,
    /// Whether a trigger has been switched off.
    pub is_off: bool,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    generation: u64,
    watched: Option<Watched>,
}

thread_local! {
    static KNOWN: RefCell<HashMap<u32, Known>> = RefCell::default();
}

/// What is known of a table; `None` if no triggers capture it.
pub fn watched(table: pg_sys::Oid) -> Result<Option<Watched>> {
    let key = table.to_u32();
    let generation = invalidation::generation();
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&key).copied())
        && !invalidation::any_since(known.generation, &[table])
    {
        return Ok(known.watched);
    }
    let watched = look_at(table)?;
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        let entry = Known {
            generation,
            watched,
        };
        known.insert(key, entry);
    });
    Ok(watched)
}

fn look_at(table: pg_sys::Oid) -> Result<Option<Watched>> {
    let of_hypertable = || match timescale::hypertable_of(table) {
        Some(root) => watched(root),
        None => Ok(None),
    };
    // Most tables have none, and opening one that has just been altered takes longer than all else here.
    if !capture_trigger::are_on(table) {
        return of_hypertable();
    }
    let Some(relation) = Relation::try_open(table, LockMode::AccessShare) else {
        return Ok(None);
    };
    let calls = |family| capture_trigger::calls(family, &relation);
    let (capture, each, follow) = (calls(CAPTURE), calls(EACH), calls(IMMEDIATE));
    if capture.is_none() && each.is_none() && follow.is_none() {
        return of_hypertable();
    }
    let all = capture.iter().chain(&each).chain(&follow);
    let is_off = all.clone().any(|calls| calls.is_off);
    Ok(Some(Watched {
        root: inherit::root(table),
        is_captured: capture.is_some(),
        is_captured_natively: match capture {
            Some(calls) => cdc::is_native_writer(calls.function)?,
            None => false,
        },
        is_followed: follow.is_some(),
        is_told_by_rows: each.is_some(),
        is_off,
    }))
}

//! Rows of `pgtrickle.pgt_unseen_writes`: writes that bypassed the triggers of sources.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::catalog_row::Value;
use crate::pg::catalog_table::{CatalogTable, relid};
use crate::pg::cluster;
use crate::pg::process;

const TABLE: &str = "pgt_unseen_writes";

/// A session that has added so many rows for a source adds another no more often than once per [`REST`].
const ROWS_AT_ONCE: u32 = 100;
const REST: Duration = Duration::from_secs(60);

/// Why no trigger saw it, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnseenCause {
    /// Our triggers were switched off.
    TriggersOff,
    /// The session has a replication role in which they do not fire.
    ReplicationRole,
    /// Code of an extension wrote it, without firing triggers.
    NoTriggersFired,
    /// The table was given the file of another one.
    FileSwapped,
    /// Chunks of a hypertable came or went with their rows.
    ChunksChanged,
    /// The library came with the first trigger, and what that was shown may be wrong.
    LoadedLate,
}

impl UnseenCause {
    /// Its name in the catalog.
    pub fn name(self) -> &'static str {
        match self {
            UnseenCause::TriggersOff => "TRIGGERS_OFF",
            UnseenCause::ReplicationRole => "REPLICATION_ROLE",
            UnseenCause::NoTriggersFired => "NO_TRIGGERS_FIRED",
            UnseenCause::FileSwapped => "FILE_SWAPPED",
            UnseenCause::ChunksChanged => "CHUNKS_CHANGED",
            UnseenCause::LoadedLate => "LOADED_LATE",
        }
    }

    /// Whether it is no surprise, but what a tables' manager does, or the way in which the library is loaded.
    pub fn is_expected(self) -> bool {
        matches!(self, UnseenCause::ChunksChanged | UnseenCause::LoadedLate)
    }
}

/// What this session has yet to record, and when it did last.
#[derive(Debug, Clone, Copy)]
struct Pending {
    rows: u64,
    recorded: u32,
    last: Instant,
}

thread_local! {
    static PENDING: RefCell<HashMap<u32, Pending>> = RefCell::default();
}

/// Records so many rows of a source, now or together with those that follow.
pub fn record_unseen(source: pg_sys::Oid, rows: u64, cause: UnseenCause) -> Result<()> {
    // The catalog of a former version has no such table.
    if relid(TABLE).is_err() {
        return Ok(());
    }
    let due = PENDING.with_borrow_mut(|pending| {
        let of_source = pending.entry(source.to_u32()).or_insert(Pending {
            rows: 0,
            recorded: 0,
            last: Instant::now(),
        });
        of_source.rows += rows;
        if of_source.recorded >= ROWS_AT_ONCE && of_source.last.elapsed() < REST {
            return None;
        }
        of_source.recorded += 1;
        of_source.last = Instant::now();
        Some(std::mem::take(&mut of_source.rows))
    });
    if let Some(rows) = due {
        CatalogTable::open_for_update(TABLE)?.insert(&[
            Value::of(source),
            Value::of(rows.cast_signed()),
            Value::of(cause.name()),
            Value::of(process::application_name()),
            Value::of(cluster::now()),
        ]);
    }
    Ok(())
}

//! What the current transaction announces when it ends.
//!
//! Notes are process-local, so capture only checks a short list, and are announced after the
//! commit is visible to all. Rolled back subtransactions leave their notes: a scheduler
//! woken needlessly finds nothing to do.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use pgrx::pg_sys;

use super::counters::WAKEUPS;
use super::database::{self, Presence};
use super::ring::ALL_TABLES;
use super::{Block, block};
use crate::config;
use crate::pg::cluster;
use crate::pg::transaction_end::End;

/// Beyond this many buffers, all are noted.
const BUFFERS_MAX: usize = 64;

#[derive(Debug, Default)]
struct Notes {
    dirty: Vec<u32>,
    all_dirty: bool,
    changed: Vec<i64>,
    installed: bool,
}

thread_local! {
    static NOTES: RefCell<Notes> = RefCell::default();
    static ANY: Cell<bool> = const { Cell::new(false) };
    static IS_REFRESHING: Cell<bool> = const { Cell::new(false) };
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
    /// How often this worker has begun to write to each buffer.
    static CAPTURES: RefCell<HashMap<u32, u64>> = RefCell::default();
}

fn note(take: impl FnOnce(&mut Notes)) {
    if block().is_some() {
        ANY.set(true);
        NOTES.with_borrow_mut(take);
    }
}

/// A change buffer gets rows, or a stream table does that others read in FULL mode.
pub fn dirty(buffer: pg_sys::Oid) {
    if IS_WORKER.get() {
        CAPTURES.with_borrow_mut(|captures| *captures.entry(buffer.to_u32()).or_default() += 1);
    }
    note(|notes| {
        let buffer = buffer.to_u32();
        if notes.dirty.last() == Some(&buffer) || notes.dirty.contains(&buffer) {
            return;
        }
        if notes.dirty.len() < BUFFERS_MAX {
            notes.dirty.push(buffer);
        } else {
            notes.all_dirty = true;
        }
    });
}

/// How often this process, a worker, has begun to write to the buffer.
pub fn captures(buffer: pg_sys::Oid) -> u64 {
    let key = buffer.to_u32();
    CAPTURES.with_borrow(|captures| captures.get(&key).copied().unwrap_or(0))
}

/// Any change buffer may have got rows.
pub fn all_dirty() {
    note(|notes| notes.all_dirty = true);
}

/// The changes to this buffer need no wake-up: its readers are being refreshed in this transaction.
pub fn clean(buffer: pg_sys::Oid) {
    NOTES.with_borrow_mut(|notes| notes.dirty.retain(|noted| *noted != buffer.to_u32()));
}

/// A stream table was created, altered or dropped.
pub fn changed(pgt_id: i64) {
    note(|notes| {
        if !notes.changed.contains(&pgt_id) {
            notes.changed.push(pgt_id);
        }
    });
}

/// The extension may have come or gone, or have another version.
pub fn installed() {
    note(|notes| notes.installed = true);
}

/// A refresh begins. Until the transaction ends it counts as in flight.
pub fn refreshing() {
    if let Some(block) = block()
        && !IS_WORKER.get()
        && !IS_REFRESHING.replace(true)
    {
        block.drain.enter();
    }
}

/// Whether a refresh has begun in this transaction.
pub fn is_refreshing() -> bool {
    IS_REFRESHING.get()
}

/// This process is a worker: its refreshes are counted by its state.
pub fn i_am_a_worker() {
    IS_WORKER.set(true);
}

/// Announces what was noted, if the transaction committed.
pub fn on_end(end: End) {
    let Some(block) = block() else { return };
    if IS_REFRESHING.replace(false) {
        block.drain.leave();
    }
    if !ANY.replace(false) {
        return;
    }
    // A borrow cannot be open here; should it be, losing a hint is better than to fail.
    let notes = NOTES.with(|notes| notes.try_borrow_mut().map(|mut n| std::mem::take(&mut *n)));
    if end == End::Commit
        && let Ok(notes) = notes
    {
        tell(block, &notes);
    }
}

fn tell(block: &Block, notes: &Notes) {
    let own = cluster::database().to_u32();
    if notes.installed || !notes.changed.is_empty() {
        let Some(entry) = database::find_or_claim(&block.databases, own) else {
            return;
        };
        let capacity = config::invalidation_ring_capacity();
        if notes.installed {
            block.ring.push_invalidation(own, ALL_TABLES, capacity);
        }
        for pgt_id in &notes.changed {
            block.ring.push_invalidation(own, *pgt_id, capacity);
        }
        if !entry.scheduler.wake() {
            let is_news = match entry.presence() {
                Presence::Absent => true,
                Presence::Outdated => notes.installed,
                _ => false,
            };
            if is_news {
                entry.set_presence(Presence::Unknown);
            }
            block.launcher.wake();
        }
    }
    if notes.all_dirty || !notes.dirty.is_empty() {
        let Some(entry) = database::find(&block.databases, own) else {
            return;
        };
        let mut is_news = notes.all_dirty;
        if notes.all_dirty {
            entry.dirty.insert_all();
        }
        for buffer in &notes.dirty {
            is_news |= entry.dirty.insert(*buffer);
        }
        if is_news && entry.scheduler.wake() {
            WAKEUPS.count();
        }
    }
}

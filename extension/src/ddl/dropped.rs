//! Stream tables that code drops without a statement, and thus without an event trigger: `drop_graph` of AGE, for
//! instance. Their remains are cleaned up before the transaction commits.

use std::cell::RefCell;
use std::collections::HashSet;

use pgrx::pg_sys;

use super::remove;
use crate::catalog;
use crate::error::Result;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::{object_hook, transaction_end};
use crate::refresh::{chunks, immediate};

thread_local! {
    /// Relations that the transaction has dropped without an event trigger.
    static DROPPED: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
}

/// Listens to dropped relations and to the ends of transactions.
pub fn init() {
    object_hook::listen_to_dropped_relations(|relation| {
        DROPPED.with_borrow_mut(|dropped| dropped.push(relation));
        chunks::note_dropped(relation);
    });
    transaction_end::check_before_commit(clean_up);
    transaction_end::listen(|_| DROPPED.with_borrow_mut(Vec::clear));
}

/// An event trigger has reported these.
pub fn told(relations: impl Iterator<Item = pg_sys::Oid>) {
    let relations: HashSet<u32> = relations.map(|relation| relation.to_u32()).collect();
    DROPPED.with_borrow_mut(|dropped| {
        dropped.retain(|relation| !relations.contains(&relation.to_u32()))
    });
}

fn clean_up() -> Result<()> {
    let dropped = DROPPED.take();
    if dropped.is_empty() || !catalog::exists() {
        return Ok(());
    }
    let _snapshot = ActiveSnapshot::push();
    forget_untold(&dropped)
}

/// Cleans up the stream tables among relations that were dropped without an event trigger.
fn forget_untold(relations: &[pg_sys::Oid]) -> Result<()> {
    for relation in relations {
        if let Some(table) = catalog::load_by_relid(*relation)? {
            remove::forget(table.pgt_id)?;
        }
    }
    immediate::follow_definitions()
}

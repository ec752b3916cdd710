//! Chunks that a hypertable gains or loses with their rows: by drop_chunks, DROP TABLE, ATTACH or DETACH.
//! No statement trigger on the hypertable sees that. Chunks that a statement makes for its own rows do not
//! count.

use std::cell::RefCell;

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::lock_mode::LockMode;
use crate::pg::object_hook::{self, Child};
use crate::pg::relation::Relation;
use crate::pg::{inherit, timescale, transaction_end};

/// What has happened to tables below others.
#[derive(Debug, Default)]
struct Noted {
    /// Those that got or lost a parent.
    moved: Vec<Child>,
    /// Those that are dropped.
    dropped: Vec<Child>,
}

thread_local! {
    static NOTED: RefCell<Noted> = RefCell::default();
}

/// Listens to what happens to tables, and to the ends of transactions.
pub fn init() {
    object_hook::listen_to_children(|child| {
        NOTED.with_borrow_mut(|noted| noted.moved.push(child));
    });
    transaction_end::listen(|_| NOTED.with_borrow_mut(|noted| *noted = Noted::default()));
}

/// A relation is being dropped, and is still in the catalog.
pub fn note_dropped(relation: pg_sys::Oid) {
    for parent in inherit::parents(relation) {
        let child = Child {
            table: relation,
            parent,
        };
        NOTED.with_borrow_mut(|noted| noted.dropped.push(child));
    }
}

/// The hypertables of which chunks with rows have come or gone in the current transaction, before it commits.
pub fn changed() -> Result<Vec<pg_sys::Oid>> {
    let noted = NOTED.take();
    if noted.moved.is_empty() && noted.dropped.is_empty() || !timescale::is_installed() {
        return Ok(Vec::new());
    }
    let moved = noted.moved.iter().filter(|child| !is_new(child.table));
    let mut parents: Vec<_> = (moved.chain(&noted.dropped))
        .map(|child| child.parent)
        .collect();
    parents.sort_unstable_by_key(|parent| parent.to_u32());
    parents.dedup();
    parents.retain(|parent| timescale::is_hypertable(*parent));
    Ok(parents)
}

/// Whether the transaction has made the table, so that its rows were counted as they came.
fn is_new(table: pg_sys::Oid) -> bool {
    Relation::try_open(table, LockMode::AccessShare).is_some_and(|open| open.is_new())
}

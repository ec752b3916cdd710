//! How many rows the triggers have seen in the current transaction, by table and family. Rows that the server counts
//! beyond that bypassed the triggers.
//!
//! Rows that are rolled back with a subtransaction are not counted, as in [`written`].

use std::cell::RefCell;
use std::collections::BTreeMap;

use pgrx::pg_sys;

use crate::pg::capture_trigger::Family;
use crate::pg::transaction_end::{self, End, nest_level};
use crate::pg::transition::{RowChange, Rows, Statement, Transition};
use crate::pg::written::{self, RowCounts};

/// The level of the transaction, the table that a trigger is on, and the trigger's family.
type Key = (i32, u32, Family);

thread_local! {
    static SEEN: RefCell<BTreeMap<Key, RowCounts>> = const { RefCell::new(BTreeMap::new()) };
}

/// Listens to the ends of transactions.
pub fn init() {
    transaction_end::listen(|_| SEEN.with_borrow_mut(BTreeMap::clear));
    transaction_end::listen_to_subtransactions(|end, level| {
        SEEN.with_borrow_mut(|seen| {
            if seen.is_empty() {
                return;
            }
            let inner = seen.split_off(&(level, 0, Family::FIRST));
            if end == End::Abort {
                return;
            }
            for ((_, table, family), rows) in inner {
                seen.entry((level - 1, table, family))
                    .or_default()
                    .add(rows);
            }
        });
    });
}

fn note(table: pg_sys::Oid, family: Family, rows: RowCounts) {
    let key = (nest_level(), table.to_u32(), family);
    SEEN.with_borrow_mut(|seen| seen.entry(key).or_default().add(rows));
}

/// A trigger has been given the rows of a statement.
pub fn statement(family: Family, event: &Transition, old: Option<&Rows>, new: Option<&Rows>) {
    let count = |rows: Option<&Rows>| rows.map_or(0, |rows| rows.count() as u64);
    let mut rows = RowCounts::default();
    match event.statement() {
        Statement::Insert => rows.inserted = count(new),
        Statement::Update => rows.updated = count(new).max(count(old)),
        Statement::Delete => rows.deleted = count(old),
        Statement::Truncate => rows.truncated = true,
    }
    if rows != RowCounts::default() {
        note(event.table(), family, rows);
    }
}

/// A trigger has been given one row.
pub fn row(family: Family, change: &RowChange) {
    let mut rows = RowCounts::default();
    match change.statement() {
        Statement::Insert => rows.inserted = 1,
        Statement::Update => rows.updated = 1,
        Statement::Delete => rows.deleted = 1,
        Statement::Truncate => return,
    }
    note(change.table(), family, rows);
}

/// Triggers of the family begin to watch a table: earlier writes of the transaction do not count, since
/// the first snapshot shows it.
pub fn begin(family: Family, table: pg_sys::Oid) {
    let rows = written::to(table);
    if rows != RowCounts::default() {
        note(table, family, rows);
    }
}

/// What was seen, by table and family: at the end of a transaction, when no subtransaction is open.
pub fn by_transaction() -> Vec<(pg_sys::Oid, Family, RowCounts)> {
    let seen =
        |(&(_, table, family), &rows): (&Key, &RowCounts)| (pg_sys::Oid::from(table), family, rows);
    SEEN.with_borrow(|all| all.iter().map(seen).collect())
}

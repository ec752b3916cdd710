//! The pending work of the current transaction: statements on sources that have begun but not ended,
//! and changes not yet applied to stream tables.
//!
//! A subtransaction's rollback undoes both. Usually there is one statement, and
//! its changes are applied as soon as it ends.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use pgrx::pg_sys;

use crate::cdc::TransientChanges;
use crate::error::{Error, Result};
use crate::pg::name;
use crate::pg::transaction_end::{self, End, nest_level};

/// A statement on a source that has begun.
#[derive(Debug, Clone, Copy)]
struct Statement {
    source: pg_sys::Oid,
    level: i32,
}

/// Changes that at least one stream table has yet to take in.
#[derive(Debug)]
struct Changes {
    source: pg_sys::Oid,
    level: i32,
    readers: BTreeSet<i64>,
    rows: Rc<TransientChanges>,
}

#[derive(Debug, Default)]
struct Running {
    statements: Vec<Statement>,
    changes: Vec<Changes>,
    rewritten: Vec<pg_sys::Oid>,
    is_following: bool,
}

thread_local! {
    static RUNNING: RefCell<Running> = RefCell::default();
}

/// Listens to the ends of transactions.
pub fn init() {
    transaction_end::listen(|_| RUNNING.with_borrow_mut(Running::end));
    transaction_end::listen_to_subtransactions(|end, level| {
        RUNNING.with_borrow_mut(|running| running.end_subtransaction(end, level));
    });
    transaction_end::check_before_commit(nothing_is_left);
}

impl Running {
    fn end(&mut self) {
        self.forget_from(0);
        *self = Running::default();
    }

    fn end_subtransaction(&mut self, end: End, level: i32) {
        if end == End::Abort {
            self.forget_from(level);
            return;
        }
        let levels = self.statements.iter_mut().map(|s| &mut s.level);
        for of in levels.chain(self.changes.iter_mut().map(|c| &mut c.level)) {
            *of = (*of).min(level - 1);
        }
    }

    /// Forgets what happened at this level or deeper. The memory of changes goes without us.
    fn forget_from(&mut self, level: i32) {
        self.statements.retain(|statement| statement.level < level);
        let (kept, gone) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|changes| changes.level < level);
        self.changes = kept;
        let gone: Vec<Changes> = gone;
        gone.into_iter().for_each(|c| std::mem::forget(c.rows));
    }
}

/// A transaction must not commit with changes that a stream table has not taken in.
fn nothing_is_left() -> Result<()> {
    let left = RUNNING.with_borrow(|running| {
        let statement = running.statements.first().map(|s| s.source);
        statement.or_else(|| running.changes.first().map(|c| c.source))
    });
    match left {
        None => Ok(()),
        Some(source) => Err(Error::UnfinishedStatement(
            name::relation_name(source).unwrap_or_default(),
        )),
    }
}

/// The sources of statements that have begun and whose end nothing will tell of, since the transaction is about to
/// commit: code of an extension fired the triggers before a statement, and not those after it.
pub fn take_abandoned() -> Vec<pg_sys::Oid> {
    RUNNING.with_borrow_mut(|running| {
        let statements = std::mem::take(&mut running.statements);
        statements
            .into_iter()
            .map(|statement| statement.source)
            .collect()
    })
}

/// A statement on the source begins.
pub fn begin(source: pg_sys::Oid) {
    let level = nest_level();
    RUNNING.with_borrow_mut(|running| running.statements.push(Statement { source, level }));
}

/// The innermost statement on the source has ended.
pub fn end(source: pg_sys::Oid) {
    RUNNING.with_borrow_mut(|running| {
        let of_source = |statement: &Statement| statement.source == source;
        if let Some(at) = running.statements.iter().rposition(of_source) {
            running.statements.remove(at);
        }
    });
}

/// That a table is being written natively; ends on drop.
#[derive(Debug)]
pub struct Begun {
    table: pg_sys::Oid,
}

impl Begun {
    /// Begins.
    pub fn new(table: pg_sys::Oid) -> Self {
        begin(table);
        Begun { table }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        end(self.table);
    }
}

/// Whether a statement on the source runs.
pub fn is_running(source: pg_sys::Oid) -> bool {
    RUNNING.with_borrow(|running| running.statements.iter().any(|s| s.source == source))
}

/// Keeps changes of the source until all of `readers` have taken them in.
pub fn keep(source: pg_sys::Oid, readers: BTreeSet<i64>, rows: TransientChanges) {
    let level = nest_level();
    RUNNING.with_borrow_mut(|running| {
        running.changes.push(Changes {
            source,
            level,
            readers,
            rows: Rc::new(rows),
        });
    });
}

/// The stream tables that have changes to take in.
pub fn waiting() -> BTreeSet<i64> {
    RUNNING.with_borrow(|running| {
        let readers = running.changes.iter().flat_map(|changes| &changes.readers);
        readers.copied().collect()
    })
}

/// The changes of a source that the stream table has to take in.
pub fn changes_for(reader: i64, source: pg_sys::Oid) -> Vec<Rc<TransientChanges>> {
    RUNNING.with_borrow(|running| {
        let changes = running.changes.iter();
        changes
            .filter(|changes| changes.source == source && changes.readers.contains(&reader))
            .map(|changes| Rc::clone(&changes.rows))
            .collect()
    })
}

/// The stream table has read its changes.
pub fn taken_in_by(reader: i64) {
    let done = RUNNING.with_borrow_mut(|running| {
        for changes in &mut running.changes {
            changes.readers.remove(&reader);
        }
        let (kept, done): (Vec<Changes>, Vec<Changes>) = std::mem::take(&mut running.changes)
            .into_iter()
            .partition(|changes| !changes.readers.is_empty());
        running.changes = kept;
        done
    });
    drop(done);
}

/// A table is being rewritten by ALTER TABLE.
pub fn note_rewrite(table: pg_sys::Oid) {
    RUNNING.with_borrow_mut(|running| running.rewritten.push(table));
}

/// The tables that were rewritten since this was asked last.
pub fn take_rewritten() -> Vec<pg_sys::Oid> {
    RUNNING.with_borrow_mut(|running| std::mem::take(&mut running.rewritten))
}

/// That stream tables are following at present; ends on drop.
#[derive(Debug)]
pub struct Following {
    _private: (),
}

/// Begins; `None` if a caller further up does it already, who will find what has come.
pub fn begin_following() -> Option<Following> {
    let is_first =
        RUNNING.with_borrow_mut(|running| !std::mem::replace(&mut running.is_following, true));
    // Made only if it is handed out: one that is dropped here would end what the caller further up has begun.
    is_first.then(|| Following { _private: () })
}

impl Drop for Following {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(|running| running.is_following = false);
    }
}

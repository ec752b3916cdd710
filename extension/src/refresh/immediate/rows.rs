//! Locks on single rows of a stream table, instead of the whole.
//!
//! Where a row of the result depends only on the delta and its own old state (`Plan::independence`),
//! only writers of the same row wait for each other. Before the snapshot of the update, a writer
//! locks the image of each row's key, which also covers rows that appear and vanish, and holds it until commit:
//! the snapshot shows the row as its last writer left it.
//!
//! In a join of two tables the delta of one joins rows of the other with the same join values. A writer locks these
//! values before the snapshot at which the delta is computed: another writer that has changed such a row but holds no
//! lock yet will see our change in its own snapshot.
//!
//! A transaction's snapshot may be older. The row has been written since exactly if the latest
//! snapshot shows another version of it, or shows it while the transaction's does not: then there is a
//! serialization failure. A row that was inserted and deleted in between is in neither snapshot, as if it had never
//! existed. Other rows are read at both snapshots, and must be the same.
//!
//! A statement takes all its locks in one order. If it needs many, it locks the whole. Transactions
//! of several statements can deadlock, as with table rows.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use pgrx::pg_sys;
use pgtrickle_dvm::canary;
use pgtrickle_dvm::plan::Source;

use super::followers::is_followed_by_row;
use crate::catalog::{self, StreamTable};
use crate::error::{Error, Result};
use crate::frontier::{of_active_snapshot, top_xid};
use crate::pg::image;
use crate::pg::lock::{Lockable, Mode, per_transaction};
use crate::pg::place::block_of;
use crate::pg::row::{OwnedRow, Row};
use crate::pg::snapshot::{self, ActiveSnapshot, is_transaction_wide};
use crate::pg::transaction_end;
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;
use crate::refresh::compiled::Compiled;
use crate::refresh::inputs::Inputs;

thread_local! {
    /// How many rows of each stream table this transaction has locked.
    static LOCKED: RefCell<HashMap<u32, usize>> = RefCell::default();
}

/// Listens to the ends of transactions. What a subtransaction locked and gave back still counts.
pub fn init() {
    transaction_end::listen(|_| LOCKED.with_borrow_mut(HashMap::clear));
}

/// Who may change the rows that a delta changes.
#[derive(Debug, Clone, Copy)]
pub enum Hold<'a> {
    /// No other transaction changes anything: the stream table is locked, and the snapshot was taken after that.
    Table,
    /// Others change other rows of this stream table.
    Rows(&'a StreamTable),
}

/// The keys of the rows that are about to be changed.
#[derive(Debug, Default)]
pub struct Keys {
    keys: Vec<OwnedRow>,
    hashes: BTreeSet<u32>,
}

impl Keys {
    /// Adds the key whose columns have the types of the first ones of `desc`, and whose values live on.
    pub fn add<'t>(
        &mut self,
        key: Row<'_>,
        types: impl Iterator<Item = &'t pg_sys::FormData_pg_attribute>,
    ) {
        self.hashes.insert(folded(image::hash64(key, types)));
        if is_transaction_wide() {
            self.keys.push(OwnedRow::of(key));
        }
    }

    /// Adds such a key, given with the row type.
    pub fn add_leading(&mut self, key: Row<'_>, desc: pg_sys::TupleDesc) {
        let types = attributes(desc);
        self.add(key, types.iter());
    }
}

impl Hold<'_> {
    /// Has the rows with these keys to ourselves, and pushes a snapshot that shows them as they are.
    ///
    /// # Errors
    /// A serialization failure if the transaction's snapshot does not show them so.
    pub fn rows(
        self,
        compiled: &Compiled,
        keys: impl FnOnce() -> Result<Keys>,
    ) -> Result<Option<ActiveSnapshot>> {
        let Hold::Rows(table) = self else {
            return Ok(None);
        };
        let keys = keys()?;
        if !canary::active(canary::ROW_LOCK_FORGOTTEN) {
            lock(table.relid, ROW, &keys.hashes);
        }
        let snapshot = ActiveSnapshot::push();
        if is_transaction_wide() {
            require_no_other(table, compiled, &keys)?;
        }
        Ok(Some(snapshot))
    }

    /// Reads what follows from the tables, which only others that wait for us change.
    ///
    /// # Errors
    /// A serialization failure if the transaction's snapshot does not show them as they are.
    pub fn read(
        self,
        compiled: &Compiled,
        read: impl Fn() -> Result<Option<TupleStore>>,
    ) -> Result<Option<TupleStore>> {
        let rows = read()?;
        if let Hold::Rows(table) = self
            && is_transaction_wide()
            && reads_tables(compiled)
        {
            let latest = {
                let _latest = ActiveSnapshot::push_latest();
                read()?
            };
            if images(rows.as_ref()) != images(latest.as_ref()) {
                return Err(Error::SnapshotTooOld(table.plain_name()));
            }
        }
        Ok(rows)
    }
}

/// Whether more is read than changes and rows of the stream table.
fn reads_tables(compiled: &Compiled) -> bool {
    let independence = compiled.independence.as_ref();
    independence.is_some_and(|i| i.rereads || !i.joined.is_empty())
}

/// The images of the rows, in order.
fn images(rows: Option<&TupleStore>) -> Vec<u128> {
    let mut images = Vec::new();
    if let Some(rows) = rows {
        let columns = attributes(rows.tuple_desc());
        let mut scan = rows.scan();
        while let Some(row) = scan.next() {
            images.push(image::hash128(row.row(), columns));
        }
    }
    images.sort_unstable();
    images
}

/// Locks the values by which changed rows are joined to others, before these are looked at.
pub fn lock_joined(table: &StreamTable, compiled: &Compiled, inputs: &Inputs) {
    let joined = compiled.independence.iter().flat_map(|i| &i.joined);
    let mut hashes = BTreeSet::new();
    for (oid, attnums) in joined {
        let source = [Source::Table(*oid)].into();
        let columns = compiled.positions(*oid, attnums);
        for (_, store) in inputs.of(&source) {
            let all = attributes(store.tuple_desc());
            let types = || columns.iter().filter_map(|at| all.get(*at));
            let mut scan = store.scan();
            while let Some(slot) = scan.next() {
                let of_join = OwnedRow::columns_of(slot.row(), &columns);
                hashes.insert(folded(image::hash64(of_join.row(), types())));
            }
        }
    }
    if !hashes.is_empty() && !canary::active(canary::ROW_LOCK_FORGOTTEN) {
        lock(table.relid, JOINED, &hashes);
    }
}

fn folded(hash: i64) -> u32 {
    let hash = hash.cast_unsigned();
    (hash ^ (hash >> 32)) as u32
}

/// What a hash is of that is locked: the key of a row of the stream table.
const ROW: u16 = 0;
/// All rows, and all values in a join.
const ALL: u16 = 1;
/// The values in a join.
const JOINED: u16 = 2;

/// Locks parts of the stream table by their hashes.
fn lock(table: pg_sys::Oid, part: u16, hashes: &BTreeSet<u32>) {
    let all = Lockable {
        class: table,
        object: 0,
        part: ALL,
    };
    if all.is_locked(Mode::Exclusive) {
        return;
    }
    let before = LOCKED.with_borrow(|locked| locked.get(&table.to_u32()).copied().unwrap_or(0));
    if before + hashes.len() > per_transaction() {
        all.lock(Mode::Exclusive);
        return;
    }
    all.lock(Mode::Shared);
    let mut new = 0;
    for hash in hashes {
        let row = Lockable {
            class: table,
            object: *hash,
            part,
        };
        new += usize::from(row.lock(Mode::Exclusive));
    }
    LOCKED.with_borrow_mut(|locked| *locked.entry(table.to_u32()).or_default() += new);
}

/// Whether the active snapshot, the transaction's own, shows the last version of these rows.
fn require_no_other(table: &StreamTable, compiled: &Compiled, keys: &Keys) -> Result<()> {
    require_recomputation_visible(table)?;
    let versions = || -> Result<Vec<Version>> {
        let mut opened = compiled.open_independent_rows()?;
        let mut found = Vec::new();
        for key in &keys.keys {
            opened.visit(key.row(), &mut |row, _| found.push(version(row.tid())));
        }
        Ok(found)
    };
    compare(table, &versions)
}

/// Refuses a snapshot of the transaction that shows another content than there is, before that is
/// recomputed. Who holds the stream table as a whole is told by [`super::take_turn`].
///
/// # Errors
/// A serialization failure.
pub fn require_latest(table: &StreamTable, compiled: &Compiled) -> Result<()> {
    if !is_transaction_wide() || !is_followed_by_row(table, compiled) {
        return Ok(());
    }
    if reads_tables(compiled) {
        // Rows of the tables may have changed that are not yet in the stream table.
        return match snapshot::is_behind() {
            true => Err(Error::SnapshotTooOld(table.plain_name())),
            false => Ok(()),
        };
    }
    compare(table, &|| {
        let mut found = Vec::new();
        let state = compiled.open_independent_rows()?;
        state.visit_all(&mut |row, _| found.push(version(row.tid())));
        Ok(found)
    })
}

/// Where a version of a row is: block and offset.
type Version = (u32, u16);

fn version(tid: pg_sys::ItemPointerData) -> Version {
    (block_of(tid), tid.ip_posid)
}

fn compare(table: &StreamTable, versions: &dyn Fn() -> Result<Vec<Version>>) -> Result<()> {
    let sorted = || -> Result<Vec<Version>> {
        let mut versions = versions()?;
        versions.sort_unstable();
        Ok(versions)
    };
    let own = sorted()?;
    let latest = {
        let _latest = ActiveSnapshot::push_latest();
        sorted()?
    };
    if own == latest {
        Ok(())
    } else {
        Err(Error::SnapshotTooOld(table.plain_name()))
    }
}

/// The catalog shows a recomputation.
fn require_recomputation_visible(table: &StreamTable) -> Result<()> {
    match catalog::last_writer(table.pgt_id)? {
        Some(last) if last != top_xid() && !of_active_snapshot().consumes(last, 0) => {
            Err(Error::SnapshotTooOld(table.plain_name()))
        }
        _ => Ok(()),
    }
}

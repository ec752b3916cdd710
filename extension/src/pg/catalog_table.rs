//! Native access to the extension's own catalog tables, as the server accesses its catalogs: with
//! the latest snapshot whatever the isolation level, without privilege checks, plans or SQL.
//!
//! Rows are found through a btree index by equality on its leading columns. A row costs about two
//! microseconds to read and five to write.

use super::catalog_row::{Row, Value};
use super::lock_mode::LockMode;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr;

use pgrx::pg_sys;

use crate::error::{Error, Result};
use crate::pg::place::block_of;
use crate::pg::{ffi, invalidation, is_aborting, unguarded};

/// Schema of the catalog.
const SCHEMA: &std::ffi::CStr = c"pgtrickle";
const BTREE_EQUAL: u16 = 3;
const F_INT8EQ: u32 = 467;
const F_OIDEQ: u32 = 184;

thread_local! {
    /// OIDs that were looked up, and when.
    static RELIDS: RefCell<HashMap<&'static str, (pg_sys::Oid, u64)>> = RefCell::default();
}

/// OID of a relation in the extension's schema.
pub fn relid(name: &'static str) -> Result<pg_sys::Oid> {
    let now = invalidation::generation();
    let known = RELIDS.with_borrow(|relids| relids.get(name).copied());
    if let Some((oid, at)) = known
        && !invalidation::any_since(at, &[oid])
    {
        return Ok(oid);
    }
    let oid = look_up(name)?;
    RELIDS.with_borrow_mut(|relids| relids.insert(name, (oid, now)));
    Ok(oid)
}

fn look_up(name: &str) -> Result<pg_sys::Oid> {
    let missing = || Error::NotInstalled(name.to_owned());
    let c_name = std::ffi::CString::new(name).map_err(|_| missing())?;
    // SAFETY: syscache look-ups by valid C strings.
    let oid = unsafe {
        let namespace = pg_sys::get_namespace_oid(SCHEMA.as_ptr(), true);
        pg_sys::get_relname_relid(c_name.as_ptr(), namespace)
    };
    if oid == pg_sys::InvalidOid {
        Err(missing())
    } else {
        Ok(oid)
    }
}

/// The next value of one of the extension's sequences.
pub fn next_value(sequence: &'static str) -> Result<i64> {
    let oid = relid(sequence)?;
    // SAFETY: the relation is one of the extension's sequences.
    Ok(unsafe { ffi::nextval_internal(oid, false) })
}

/// A value that an index is searched for.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    /// A `bigint` column.
    Int8(i64),
    /// A `regclass` or `oid` column.
    Oid(pg_sys::Oid),
}

/// An open catalog table. The lock is kept to the end of the transaction.
pub struct CatalogTable {
    relation: pg_sys::Relation,
}

impl CatalogTable {
    /// Opens a table for reading.
    pub fn open(name: &'static str) -> Result<Self> {
        Self::open_with(name, LockMode::AccessShare)
    }

    /// Opens a table for writing.
    pub fn open_for_update(name: &'static str) -> Result<Self> {
        Self::open_with(name, LockMode::RowExclusive)
    }

    fn open_with(name: &'static str, lock: LockMode) -> Result<Self> {
        let oid = relid(name)?;
        // SAFETY: the OID is that of a table; Drop closes it.
        let relation = unsafe { pg_sys::try_table_open(oid, lock.raw()) };
        match relation.is_null() {
            false => Ok(CatalogTable { relation }),
            // The extension was dropped while we waited.
            true => Err(Error::NotInstalled(name.to_owned())),
        }
    }

    /// Notifies every session at commit that the table has changed.
    pub fn announce(&self) {
        // SAFETY: the relation is open.
        unsafe { pg_sys::CacheInvalidateRelcache(self.relation) }
    }

    /// Whether it has never had a row, judging by its file.
    pub fn has_no_pages(&self) -> bool {
        // SAFETY: the relation is open.
        unsafe {
            pg_sys::RelationGetNumberOfBlocksInFork(self.relation, pg_sys::ForkNumber::MAIN_FORKNUM)
                == 0
        }
    }

    /// What `read` makes of each row whose leading index columns equal `keys`. Without an index, of each
    /// row of the table.
    pub fn rows<T>(
        &self,
        index: Option<&'static str>,
        keys: &[(i16, Key)],
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        self.visit(index, keys, |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `visit` for each row whose leading index columns equal `keys`. Without an index, for
    /// each row of the table.
    pub fn visit(
        &self,
        index: Option<&'static str>,
        keys: &[(i16, Key)],
        mut visit: impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let mut outcome = Ok(());
        self.scan(index, keys, |tuple| {
            // SAFETY: the tuple is that of the running scan.
            let row = unsafe { Row::of(tuple, self.relation) };
            if outcome.is_ok() {
                outcome = visit(&row);
            }
        })?;
        outcome
    }

    /// What `read` makes of the row version in this place, if the latest snapshot shows it. A place may have
    /// been given to another row since.
    pub fn at<T>(
        &self,
        place: pg_sys::ItemPointerData,
        read: impl FnOnce(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(tuple) = self.tuple_at(place) else {
            return Ok(None);
        };
        // SAFETY: the tuple is our own copy of one of the relation's tuples.
        unsafe {
            let row = Row::of(tuple, self.relation);
            let found = read(&row);
            pg_sys::heap_freetuple(tuple);
            found.map(Some)
        }
    }

    /// A copy of the tuple in this place, if the latest snapshot shows it.
    fn tuple_at(&self, place: pg_sys::ItemPointerData) -> Option<pg_sys::HeapTuple> {
        // SAFETY: the relation is open and has the page; numbers and raw pointers only.
        let tuple = unsafe {
            unguarded::guarded(|| {
                let main = pg_sys::ForkNumber::MAIN_FORKNUM;
                if block_of(place)
                    >= unguarded::RelationGetNumberOfBlocksInFork(self.relation, main)
                {
                    return ptr::null_mut();
                }
                let snapshot = unguarded::RegisterSnapshot(unguarded::GetLatestSnapshot());
                let mut found = pg_sys::HeapTupleData {
                    t_self: place,
                    ..Default::default()
                };
                let mut buffer = 0;
                let mut copy = ptr::null_mut();
                if unguarded::heap_fetch(self.relation, snapshot, &mut found, &mut buffer, false) {
                    copy = unguarded::heap_copytuple(&mut found);
                    unguarded::ReleaseBuffer(buffer);
                }
                unguarded::UnregisterSnapshot(snapshot);
                copy
            })
        };
        (!tuple.is_null()).then_some(tuple)
    }

    /// Calls `visit` for each tuple; it must not keep the pointer.
    fn scan(
        &self,
        index: Option<&'static str>,
        keys: &[(i16, Key)],
        mut visit: impl FnMut(pg_sys::HeapTuple),
    ) -> Result<()> {
        let index_oid = index.map_or(Ok(pg_sys::InvalidOid), relid)?;
        let mut scan_keys = [pg_sys::ScanKeyData::default(); 2];
        debug_assert!(keys.len() <= scan_keys.len());
        for (slot, (attnum, key)) in scan_keys.iter_mut().zip(keys) {
            let (procedure, datum) = match key {
                Key::Int8(value) => (F_INT8EQ, pg_sys::Datum::from(*value)),
                Key::Oid(value) => (F_OIDEQ, pg_sys::Datum::from(*value)),
            };
            // SAFETY: fills one ScanKeyData.
            unsafe {
                pg_sys::ScanKeyInit(slot, *attnum, BTREE_EQUAL, procedure.into(), datum);
            }
        }
        // SAFETY: the relation is open, the index is one of its own, the snapshot is registered for
        // the duration of the scan, and each tuple is used before the next one is fetched.
        unsafe {
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
            let scan = pg_sys::systable_beginscan(
                self.relation,
                index_oid,
                index.is_some(),
                snapshot,
                keys.len() as i32,
                scan_keys.as_mut_ptr(),
            );
            loop {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                visit(tuple);
            }
            pg_sys::systable_endscan(scan);
            pg_sys::UnregisterSnapshot(snapshot);
        }
        Ok(())
    }

    /// Copies of the tuples, so that a writer does not meet its own versions in a running scan.
    fn tuples(&self, index: &'static str, keys: &[(i16, Key)]) -> Result<Vec<pg_sys::HeapTuple>> {
        let mut tuples = Vec::new();
        self.scan(Some(index), keys, |tuple| {
            // SAFETY: the tuple is that of the running scan.
            tuples.push(unsafe { pg_sys::heap_copytuple(tuple) });
        })?;
        Ok(tuples)
    }

    /// Inserts a row given in column order.
    pub fn insert(&self, values: &[Value]) {
        let mut datums: Vec<_> = values
            .iter()
            .map(|value| value.0.unwrap_or(pg_sys::Datum::from(0)))
            .collect();
        let mut nulls: Vec<_> = values.iter().map(|value| value.0.is_none()).collect();
        // SAFETY: one datum and one flag per column of the open relation.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            debug_assert_eq!((*descriptor).natts as usize, values.len());
            let tuple =
                pg_sys::heap_form_tuple(descriptor, datums.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::CatalogTupleInsert(self.relation, tuple);
            pg_sys::heap_freetuple(tuple);
            pg_sys::CommandCounterIncrement();
        }
    }

    /// Replaces columns of each row that the index finds, and returns how many there were.
    pub fn update(
        &self,
        index: &'static str,
        keys: &[(i16, Key)],
        changes: &[(usize, Value)],
    ) -> Result<usize> {
        let tuples = self.tuples(index, keys)?;
        for &tuple in &tuples {
            self.replace(tuple, changes);
        }
        Ok(tuples.len())
    }

    /// Replaces columns of the row version in this place, and returns where the new version is; `None`, and
    /// nothing is done, if the latest snapshot does not show it or `is_meant` says no to it.
    pub fn update_at(
        &self,
        place: pg_sys::ItemPointerData,
        is_meant: impl FnOnce(&Row) -> bool,
        changes: &[(usize, Value)],
    ) -> Option<pg_sys::ItemPointerData> {
        let tuple = self.tuple_at(place)?;
        // SAFETY: the tuple is our own copy of one of the relation's tuples.
        if is_meant(&unsafe { Row::of(tuple, self.relation) }) {
            Some(self.replace(tuple, changes))
        } else {
            // SAFETY: as above.
            unsafe { pg_sys::heap_freetuple(tuple) };
            None
        }
    }

    /// Replaces columns of a row, given as a copy of its tuple, which is freed. Returns the new place.
    fn replace(
        &self,
        tuple: pg_sys::HeapTuple,
        changes: &[(usize, Value)],
    ) -> pg_sys::ItemPointerData {
        // SAFETY: the arrays have one entry per column; the tuple is our own copy. The counter makes the
        // new version visible to the commands that follow.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            let natts = usize::try_from((*descriptor).natts).unwrap_or(0);
            let mut values = vec![pg_sys::Datum::from(0); natts];
            let mut nulls = vec![false; natts];
            let mut replaced = vec![false; natts];
            for (attnum, value) in changes {
                let at = attnum - 1;
                if let (Some(v), Some(n), Some(r)) =
                    (values.get_mut(at), nulls.get_mut(at), replaced.get_mut(at))
                {
                    *v = value.0.unwrap_or(pg_sys::Datum::from(0));
                    *n = value.0.is_none();
                    *r = true;
                }
            }
            let changed = pg_sys::heap_modify_tuple(
                tuple,
                descriptor,
                values.as_ptr(),
                nulls.as_ptr(),
                replaced.as_ptr(),
            );
            pg_sys::CatalogTupleUpdate(self.relation, &mut (*changed).t_self, changed);
            let place = (*changed).t_self;
            pg_sys::heap_freetuple(changed);
            pg_sys::heap_freetuple(tuple);
            pg_sys::CommandCounterIncrement();
            place
        }
    }

    /// Deletes each row that the index finds, and returns how many there were.
    pub fn delete(&self, index: &'static str, keys: &[(i16, Key)]) -> Result<usize> {
        let tuples = self.tuples(index, keys)?;
        for &tuple in &tuples {
            // SAFETY: the tuple is our own copy.
            unsafe {
                pg_sys::CatalogTupleDelete(self.relation, &mut (*tuple).t_self);
                pg_sys::heap_freetuple(tuple);
            }
        }
        // SAFETY: makes the deletion visible to the commands that follow.
        unsafe { pg_sys::CommandCounterIncrement() };
        Ok(tuples.len())
    }
}

impl Drop for CatalogTable {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: opened by `open_with`; the lock stays until the transaction ends.
            unsafe { pg_sys::table_close(self.relation, LockMode::None.raw()) };
        }
    }
}

//! Open relations.

use super::is_aborting;
use super::lock_mode::LockMode;
use super::name;
use super::tupdesc::{attribute_name, attributes};
use crate::error::{Error, Result};
use pgrx::{IntoDatum, pg_sys};

/// An open relation; closed on drop, its lock kept until the end of the transaction.
#[derive(Debug)]
pub struct Relation {
    raw: pg_sys::Relation,
}

impl Relation {
    /// Opens a table or any other relation, waiting for the lock; an error if there is none.
    pub fn open(oid: pg_sys::Oid, lockmode: LockMode) -> Result<Self> {
        Self::try_open(oid, lockmode).ok_or(Error::RelationVanished(oid))
    }

    /// Like [`Relation::open`], with `None` if there is no such relation.
    pub fn try_open(oid: pg_sys::Oid, lockmode: LockMode) -> Option<Self> {
        // SAFETY: any OID is allowed; NULL says that there is none.
        let raw = unsafe { pg_sys::try_relation_open(oid, lockmode.raw()) };
        // Made only if there is one: dropping it closes it.
        (!raw.is_null()).then(|| Relation { raw })
    }

    /// For calls to the server.
    pub fn as_ptr(&self) -> pg_sys::Relation {
        self.raw
    }

    /// The relation's OID.
    pub fn oid(&self) -> pg_sys::Oid {
        // SAFETY: open, hence valid.
        unsafe { (*self.raw).rd_id }
    }

    /// The row type, valid while the relation is open.
    pub fn tuple_desc(&self) -> pg_sys::TupleDesc {
        // SAFETY: open, hence valid.
        unsafe { (*self.raw).rd_att }
    }

    /// `pg_class.relkind`
    pub fn kind(&self) -> u8 {
        self.class().relkind as u8
    }

    /// `pg_class.relpersistence`
    pub fn persistence(&self) -> u8 {
        self.class().relpersistence as u8
    }

    /// Whether a materialized view has been filled.
    pub fn is_populated(&self) -> bool {
        self.class().relispopulated
    }

    /// Whether its changes are in the log for logical decoding.
    pub fn is_logged_logically(&self) -> bool {
        // SAFETY: a variable of the server.
        let level = unsafe { pg_sys::wal_level };
        level >= pg_sys::WalLevel::WAL_LEVEL_LOGICAL as i32
            && self.persistence() == pg_sys::RELPERSISTENCE_PERMANENT
    }

    /// The owner.
    pub fn owner(&self) -> pg_sys::Oid {
        self.class().relowner
    }

    /// Whether it is a partition of another table.
    pub fn is_partition(&self) -> bool {
        self.class().relispartition
    }

    /// Whether its columns are those of a composite type (`CREATE TABLE … OF`).
    pub fn is_typed(&self) -> bool {
        self.class().reloftype != pg_sys::InvalidOid
    }

    /// Whether a column of it is an identity column.
    pub fn has_identity(&self) -> bool {
        attributes(self.tuple_desc())
            .iter()
            .any(|column| !column.attisdropped && column.attidentity != 0)
    }

    /// The name, without schema.
    pub fn name(&self) -> String {
        // SAFETY: relname is a NUL-terminated name in server encoding.
        unsafe { std::ffi::CStr::from_ptr(self.class().relname.data.as_ptr()) }
            .to_string_lossy()
            .into_owned()
    }

    /// Whether the current transaction has made it.
    pub fn is_new(&self) -> bool {
        // SAFETY: open, hence valid.
        unsafe { (*self.raw).rd_createSubid != 0 }
    }

    /// The number of its file; 0 without one.
    pub fn file(&self) -> u32 {
        // SAFETY: open, hence valid.
        unsafe { (*self.raw).rd_locator.relNumber.to_u32() }
    }

    /// The number of blocks of the main fork.
    pub fn blocks(&self) -> u32 {
        // SAFETY: open, hence valid.
        unsafe {
            pg_sys::RelationGetNumberOfBlocksInFork(self.raw, pg_sys::ForkNumber::MAIN_FORKNUM)
        }
    }

    /// How many rows the planner expects in it.
    pub fn estimated_rows(&self) -> f64 {
        if !matches!(
            self.kind(),
            pg_sys::RELKIND_RELATION | pg_sys::RELKIND_MATVIEW
        ) {
            return 0.0;
        }
        let (mut pages, mut rows, mut visible) = (0, 0.0, 0.0);
        // SAFETY: an open table with storage; the widths of columns are not asked for.
        unsafe {
            let widths = std::ptr::null_mut();
            pg_sys::estimate_rel_size(self.raw, widths, &mut pages, &mut rows, &mut visible);
        }
        rows
    }

    /// Its size on disk with indexes and TOAST.
    pub fn total_bytes(&self) -> u64 {
        // SAFETY: a function of SQL that takes one OID and returns NULL or a bigint.
        let bytes: Option<i64> = unsafe {
            pgrx::direct_function_call(pg_sys::pg_total_relation_size, &[self.oid().into_datum()])
        };
        bytes.unwrap_or(0).max(0).cast_unsigned()
    }

    /// The OIDs of its indexes, ascending.
    pub fn indexes(&self) -> Vec<pg_sys::Oid> {
        // SAFETY: open, hence valid; the list is a fresh copy of OIDs.
        unsafe { oid_list(pg_sys::RelationGetIndexList(self.raw)) }
    }

    /// The quoted names of the columns at these positions (from 0).
    pub fn quoted_columns(&self, positions: &[usize]) -> Result<Vec<String>> {
        let all = attributes(self.tuple_desc());
        positions
            .iter()
            .map(|position| {
                all.get(*position)
                    .map(|column| name::quote(&attribute_name(column).to_string_lossy()))
                    .ok_or_else(|| {
                        Error::Internal(format!("\"{}\" has too few columns", self.name()))
                    })
            })
            .collect()
    }

    /// Whether this session holds such a lock on it.
    pub fn is_locked_by_me(&self, lockmode: LockMode, or_stronger: bool) -> bool {
        // SAFETY: open, hence valid.
        unsafe { pg_sys::CheckRelationLockedByMe(self.raw, lockmode.raw(), or_stronger) }
    }

    /// How often this session has it open.
    pub fn reference_count(&self) -> i32 {
        // SAFETY: open, hence valid.
        unsafe { (*self.raw).rd_refcnt }
    }

    fn class(&self) -> &pg_sys::FormData_pg_class {
        // SAFETY: an open relation has its pg_class row.
        unsafe { &*(*self.raw).rd_rel }
    }
}

impl Drop for Relation {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: opened once by us, closed once here.
            unsafe { pg_sys::relation_close(self.raw, LockMode::None.raw()) }
        }
    }
}

/// Copies a List of OIDs and frees it.
///
/// # Safety
/// `list` is NIL or a palloc'd OID list without other users.
pub unsafe fn oid_list(list: *mut pg_sys::List) -> Vec<pg_sys::Oid> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: per contract; elements[0..length] are initialised OID cells.
    unsafe {
        let cells = std::slice::from_raw_parts((*list).elements, (*list).length as usize);
        let oids = cells.iter().map(|cell| cell.oid_value).collect();
        pg_sys::list_free(list);
        oids
    }
}

/// What a table may have, as its row in the catalog says: `true` stays for a while after the last has gone.
#[derive(Debug, Clone, Copy, Default)]
pub struct MayHave {
    /// Partitions or inheritance children.
    pub children: bool,
    /// Triggers.
    pub triggers: bool,
}

/// `pg_class.relkind` and `relpersistence` of a relation, which is not opened; `None` if it is not there.
pub fn storage(relation: pg_sys::Oid) -> Option<(u8, u8)> {
    from_class(relation, |class| {
        (class.relkind as u8, class.relpersistence as u8)
    })
}

/// What a table may have; nothing, if it is not there. It is not opened, which takes long when it has just been altered.
pub fn may_have(table: pg_sys::Oid) -> MayHave {
    from_class(table, |class| MayHave {
        children: class.relhassubclass,
        triggers: class.relhastriggers,
    })
    .unwrap_or_default()
}

/// What a relation's row of `pg_class` says.
fn from_class<T>(
    relation: pg_sys::Oid,
    read: impl FnOnce(&pg_sys::FormData_pg_class) -> T,
) -> Option<T> {
    // SAFETY: a row of pg_class, until it is released; what is read from it is a copy.
    unsafe {
        let row = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(relation),
        );
        if row.is_null() {
            return None;
        }
        let class = pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_class>();
        let found = read(&*class);
        pg_sys::ReleaseSysCache(row);
        Some(found)
    }
}

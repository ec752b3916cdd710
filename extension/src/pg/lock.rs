//! Heavyweight locks on relations and on abstract objects, visible to the server's deadlock detection and `pg_locks`.
//! They are held until the transaction ends, or the subtransaction that took them is rolled back.

use pgrx::pg_sys;

use super::is_aborting;
use super::local_settings::set_local;
use super::lock_mode::LockMode;
use crate::error::Result;

/// Locks a relation, which may be gone, until the transaction ends.
pub fn relation(oid: pg_sys::Oid, lockmode: LockMode) {
    // SAFETY: a plain lock request.
    unsafe { pg_sys::LockRelationOid(oid, lockmode.raw()) }
}

/// What is locked. `class` is the relation that gives `object` and `part` their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lockable {
    /// The relation.
    pub class: pg_sys::Oid,
    /// A number in it.
    pub object: u32,
    /// A part of that.
    pub part: u16,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Together with others that do the same.
    Shared,
    /// Alone.
    Exclusive,
}

impl Mode {
    fn lockmode(self) -> LockMode {
        match self {
            Mode::Shared => LockMode::RowExclusive,
            Mode::Exclusive => LockMode::Exclusive,
        }
    }
}

impl Lockable {
    /// A name in a schema, which nothing needs to have yet. Names may share a lock.
    pub fn of_name(schema: pg_sys::Oid, name: &str) -> Self {
        // SAFETY: as many bytes as there are.
        let hash = unsafe { pg_sys::hash_bytes(name.as_ptr(), name.len() as i32) };
        Lockable {
            class: pg_sys::NamespaceRelationId,
            object: schema.to_u32(),
            // The schema itself is locked as part 0.
            part: 1 | hash as u16,
        }
    }

    fn tag(self) -> pg_sys::LOCKTAG {
        // What SET_LOCKTAG_OBJECT makes.
        pg_sys::LOCKTAG {
            locktag_field1: super::cluster::database().to_u32(),
            locktag_field2: self.class.to_u32(),
            locktag_field3: self.object,
            locktag_field4: self.part,
            locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
            locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        }
    }

    /// Locks it, waiting if necessary. Returns whether this transaction did not have the lock yet.
    pub fn lock(self, mode: Mode) -> bool {
        // SAFETY: the tag is copied. As LockDatabaseObject does, notices of what happened meanwhile are
        // read, since we may have waited for who sent them.
        unsafe {
            let result = pg_sys::LockAcquire(&self.tag(), mode.lockmode().raw(), false, false);
            pg_sys::AcceptInvalidationMessages();
            result == pg_sys::LockAcquireResult::LOCKACQUIRE_OK
        }
    }

    /// Whether this transaction has the lock in this mode or a stronger one.
    pub fn is_locked(self, mode: Mode) -> bool {
        // SAFETY: a look into the locks of this process.
        unsafe { pg_sys::LockHeldByMe(&self.tag(), mode.lockmode().raw(), true) }
    }
}

/// How many locks a transaction may take on average, as the server is configured.
pub fn per_transaction() -> usize {
    // SAFETY: set at the start of the server.
    unsafe { usize::try_from(pg_sys::max_locks_per_xact).unwrap_or(0) }
}

/// The shortest limit.
const SHORT_MS: i32 = 10;

/// A limit to waiting for locks: while this lives, waiting for one ends with an error (SQLSTATE 55P03) in half
/// the time after which a session looks whether it is part of a deadlock. So it is never that session which has
/// to give way.
#[derive(Debug)]
pub struct Patience {
    guc_level: i32,
}

impl Patience {
    /// From now on, for locks that are asked for in this transaction.
    pub fn limited() -> Result<Self> {
        // SAFETY: reads a setting.
        let deadlock_ms = unsafe { pg_sys::DeadlockTimeout };
        Self::of_ms((deadlock_ms / 2).max(SHORT_MS))
    }

    /// The same, for as long as it takes to end what is about to end anyway.
    pub fn short() -> Result<Self> {
        Self::of_ms(SHORT_MS)
    }

    fn of_ms(limit_ms: i32) -> Result<Self> {
        // SAFETY: the nest level is ended on drop, or by the abort of the transaction.
        let guc_level = unsafe { pg_sys::NewGUCNestLevel() };
        let limit = Self { guc_level };
        set_local("lock_timeout", &limit_ms.to_string())?;
        Ok(limit)
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: the nest level is ours.
            unsafe { pg_sys::AtEOXact_GUC(false, self.guc_level) };
        }
    }
}

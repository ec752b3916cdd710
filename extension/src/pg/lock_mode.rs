//! How strongly a relation is locked.

use pgrx::pg_sys;

/// A lock mode of the server, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// No lock is taken: the caller holds one already.
    None,
    /// As `SELECT` takes it.
    AccessShare,
    /// As `INSERT`, `UPDATE` and `DELETE` take it.
    RowExclusive,
    /// As `VACUUM` takes it.
    ShareUpdateExclusive,
    /// As `CREATE TRIGGER` takes it.
    ShareRowExclusive,
    /// All but reading waits.
    Exclusive,
    /// Everything waits.
    AccessExclusive,
}

impl LockMode {
    /// The number that the server knows it by.
    pub(super) fn raw(self) -> pg_sys::LOCKMODE {
        let number = match self {
            LockMode::None => pg_sys::NoLock,
            LockMode::AccessShare => pg_sys::AccessShareLock,
            LockMode::RowExclusive => pg_sys::RowExclusiveLock,
            LockMode::ShareUpdateExclusive => pg_sys::ShareUpdateExclusiveLock,
            LockMode::ShareRowExclusive => pg_sys::ShareRowExclusiveLock,
            LockMode::Exclusive => pg_sys::ExclusiveLock,
            LockMode::AccessExclusive => pg_sys::AccessExclusiveLock,
        };
        number as pg_sys::LOCKMODE
    }
}

//! Where and when this session runs.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

/// The cluster's identifier, the same until `initdb`.
pub fn system_identifier() -> i64 {
    // SAFETY: reads shared memory that does not change.
    unsafe { pg_sys::GetSystemIdentifier() }.cast_signed()
}

/// The current database.
pub fn database() -> pg_sys::Oid {
    // SAFETY: set once at the start of the backend.
    unsafe { pg_sys::MyDatabaseId }
}

/// The present time, not the transaction's.
pub fn now() -> TimestampWithTimeZone {
    pgrx::datum::clock_timestamp()
}

/// When something was so, by the clock and by the WAL.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The time.
    pub time: TimestampWithTimeZone,
    /// The end of the WAL.
    pub lsn: u64,
}

impl Moment {
    /// Now, on a primary.
    pub fn now() -> Self {
        Moment {
            time: now(),
            // SAFETY: reads a position in shared memory.
            lsn: unsafe { pg_sys::GetXLogInsertRecPtr() },
        }
    }
}

/// A time in microseconds of the server's clock.
pub fn microseconds(time: TimestampWithTimeZone) -> i64 {
    pg_sys::TimestampTz::from(time)
}

/// The time that is so many microseconds of the server's clock.
pub fn time_at(microseconds: i64) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(microseconds).ok()
}

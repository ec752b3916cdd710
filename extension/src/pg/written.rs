//! The rows that the current transaction has written, by the server's statistics: with or
//! without triggers, and without those rolled back with a subtransaction.
//!
//! The server keeps these numbers until the transaction ends, and then adds them to the published ones, even after
//! a rollback. Here they are still exact.

use std::ffi::c_int;

use pgrx::pg_sys;

use super::transaction_end::nest_level;

/// Rows that were written to a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows that came.
    pub inserted: u64,
    /// Rows that another version took the place of.
    pub updated: u64,
    /// Rows that went.
    pub deleted: u64,
    /// Whether the table was emptied before that.
    pub truncated: bool,
}

impl RowCounts {
    /// Adds others.
    pub fn add(&mut self, other: RowCounts) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.truncated |= other.truncated;
    }

    /// All rows.
    pub fn rows(self) -> u64 {
        self.inserted + self.updated + self.deleted
    }

    fn is_nothing(self) -> bool {
        self.rows() == 0 && !self.truncated
    }
}

/// The tables that were written, with their rows: at the end of a transaction, when no subtransaction is open.
pub fn by_transaction() -> Vec<(pg_sys::Oid, RowCounts)> {
    // SAFETY: reads the transaction state.
    if unsafe { pg_sys::GetTopTransactionIdIfAny() } == pg_sys::InvalidTransactionId {
        return Vec::new();
    }
    let mut written = Vec::new();
    // SAFETY: in a transaction.
    unsafe {
        visit(|table, rows| written.push((table, rows)));
    }
    written
}

/// What the transaction has written to a table so far.
pub fn to(wanted: pg_sys::Oid) -> RowCounts {
    let mut total = RowCounts::default();
    // SAFETY: in a transaction.
    unsafe {
        visit(|table, rows| {
            if table == wanted {
                total.add(rows);
            }
        });
    }
    total
}

/// Calls `each` for each table of the extension or of a user, and each subtransaction that is open or done and wrote it.
///
/// # Safety
/// In a transaction.
unsafe fn visit(mut each: impl FnMut(pg_sys::Oid, RowCounts)) {
    // SAFETY: a list of the server's, whose nodes live until the transaction ends; `each` does not write.
    unsafe {
        let mut level = pgstat_get_xact_stack_level(nest_level());
        while let Some(of_level) = level.as_ref() {
            let mut table = of_level.first;
            while let Some(found) = table.as_ref() {
                let oid = (*found.parent).id;
                let rows = counts(found);
                if oid.to_u32() >= pg_sys::FirstNormalObjectId && !rows.is_nothing() {
                    each(oid, rows);
                }
                table = found.next;
            }
            level = of_level.prev;
        }
    }
}

fn counts(table: &pg_sys::PgStat_TableXactStatus) -> RowCounts {
    RowCounts {
        inserted: table.tuples_inserted.max(0).cast_unsigned(),
        updated: table.tuples_updated.max(0).cast_unsigned(),
        deleted: table.tuples_deleted.max(0).cast_unsigned(),
        truncated: table.truncdropped,
    }
}

/// `PgStat_SubXactStatus` of `utils/pgstat_internal.h`, the same in all versions since 15.
#[repr(C)]
struct Level {
    nest_level: c_int,
    prev: *mut Level,
    pending_drops: pg_sys::dclist_head,
    first: *mut pg_sys::PgStat_TableXactStatus,
}

#[pgrx::pg_guard]
#[allow(improper_ctypes, reason = "a struct of the server's")]
unsafe extern "C-unwind" {
    /// `utils/pgstat_internal.h`: the innermost level, which is made if it is not there.
    fn pgstat_get_xact_stack_level(nest_level: c_int) -> *mut Level;
}

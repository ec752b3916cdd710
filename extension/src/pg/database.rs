//! The databases of the cluster.

use super::lock_mode::LockMode;
use pgrx::pg_sys;

/// A database to which one can connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its OID, which a rename does not change.
    pub oid: pg_sys::Oid,
    /// Whether others are copied from it.
    pub is_template: bool,
}

/// All databases that allow connections. Works without a database of one's own.
pub fn connectable() -> Vec<Database> {
    let mut found = Vec::new();
    // SAFETY: a shared catalog, read in a transaction with a snapshot of its own; each row is used
    // before the next is fetched.
    unsafe {
        let lockmode = LockMode::AccessShare.raw();
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let table = pg_sys::table_open(pg_sys::DatabaseRelationId, lockmode);
        let scan = pg_sys::systable_beginscan(
            table,
            pg_sys::InvalidOid,
            false,
            snapshot,
            0,
            std::ptr::null_mut(),
        );
        loop {
            let row = pg_sys::systable_getnext(scan);
            if row.is_null() {
                break;
            }
            let form = pg_sys::GETSTRUCT(row) as *const pg_sys::FormData_pg_database;
            if (*form).datallowconn && (*form).datconnlimit != INVALID {
                found.push(Database {
                    oid: (*form).oid,
                    is_template: (*form).datistemplate,
                });
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(table, lockmode);
        pg_sys::UnregisterSnapshot(snapshot);
    }
    found
}

/// `datconnlimit` of a database that is being dropped.
const INVALID: i32 = -2;

/// The name of a database, for messages.
pub fn name(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: a catalog look-up; the name is a copy.
    unsafe {
        let name = pg_sys::get_database_name(oid);
        (!name.is_null()).then(|| {
            std::ffi::CStr::from_ptr(name)
                .to_string_lossy()
                .into_owned()
        })
    }
}

/// Whether this server is a standby.
pub fn is_standby() -> bool {
    // SAFETY: reads shared memory.
    unsafe { pg_sys::RecoveryInProgress() }
}

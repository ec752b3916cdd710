//! Extensions, as the server's catalog has them.

use super::lock_mode::LockMode;
use std::ffi::CStr;

use pgrx::{FromDatum, pg_sys};

/// The version of an extension in this database; `None` if it is not there.
pub fn version(name: &CStr) -> Option<String> {
    let lockmode = LockMode::AccessShare.raw();
    let mut key = pg_sys::ScanKeyData::default();
    // SAFETY: table and index belong together; nameeq reads a C string as it does a name; the value is
    // copied before the scan ends.
    unsafe {
        pg_sys::ScanKeyInit(
            &mut key,
            pg_sys::Anum_pg_extension_extname as pg_sys::AttrNumber,
            pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber,
            pg_sys::Oid::from(pg_sys::F_NAMEEQ),
            pg_sys::Datum::from(name.as_ptr()),
        );
        let table = pg_sys::table_open(pg_sys::ExtensionRelationId, lockmode);
        let scan = pg_sys::systable_beginscan(
            table,
            pg_sys::Oid::from(pg_sys::ExtensionNameIndexId),
            true,
            std::ptr::null_mut(),
            1,
            &mut key,
        );
        let tuple = pg_sys::systable_getnext(scan);
        let mut version = None;
        if !tuple.is_null() {
            let mut is_null = false;
            let value = pg_sys::heap_getattr(
                tuple,
                pg_sys::Anum_pg_extension_extversion as i32,
                (*table).rd_att,
                &mut is_null,
            );
            version = String::from_datum(value, is_null);
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(table, lockmode);
        version
    }
}

/// Whether the script of an extension runs in this session.
pub fn is_running_script() -> bool {
    // SAFETY: reads the state of this session.
    unsafe { pg_sys::creating_extension }
}

//! Reading the server's catalogs through an index, as the server itself does.

use super::lock_mode::LockMode;
use pgrx::pg_sys;

/// A key that an OID column must equal.
pub fn oid_key(attnum: u32, value: pg_sys::Oid) -> pg_sys::ScanKeyData {
    let mut key = pg_sys::ScanKeyData::default();
    // SAFETY: oideq compares OIDs, as the column is one.
    unsafe {
        pg_sys::ScanKeyInit(
            &mut key,
            attnum as pg_sys::AttrNumber,
            pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber,
            pg_sys::Oid::from(pg_sys::F_OIDEQ),
            pg_sys::Datum::from(value),
        );
    }
    key
}

/// A key that a `bigint` column must equal.
pub fn int8_key(attnum: u32, value: i64) -> pg_sys::ScanKeyData {
    let mut key = pg_sys::ScanKeyData::default();
    // SAFETY: int8eq compares integers of eight bytes, as the column has them.
    unsafe {
        pg_sys::ScanKeyInit(
            &mut key,
            attnum as pg_sys::AttrNumber,
            pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber,
            pg_sys::Oid::from(pg_sys::F_INT8EQ),
            pg_sys::Datum::from(value),
        );
    }
    key
}

/// Keys for the names from `low` up to, but without, `high`. The names must outlive the scan.
pub fn name_range(
    attnum: u32,
    low: &pg_sys::NameData,
    high: &pg_sys::NameData,
) -> [pg_sys::ScanKeyData; 2] {
    let mut keys = [pg_sys::ScanKeyData::default(); 2];
    let [from, to] = &mut keys;
    let bounds = [
        (
            from,
            low,
            pg_sys::BTGreaterEqualStrategyNumber,
            pg_sys::F_NAMEGE,
        ),
        (to, high, pg_sys::BTLessStrategyNumber, pg_sys::F_NAMELT),
    ];
    for (key, name, strategy, comparison) in bounds {
        // SAFETY: both compare names, as the column is one, by the C collation that is set here.
        unsafe {
            pg_sys::ScanKeyInit(
                key,
                attnum as pg_sys::AttrNumber,
                strategy as pg_sys::StrategyNumber,
                pg_sys::Oid::from(comparison),
                pg_sys::Datum::from(std::ptr::from_ref(name)),
            );
        }
    }
    keys
}

/// Hands each matching row's fixed-length part to `visit`, until that says false.
pub fn each(
    catalog: pg_sys::Oid,
    index: pg_sys::Oid,
    keys: &[pg_sys::ScanKeyData],
    mut visit: impl FnMut(*const std::ffi::c_void) -> bool,
) {
    each_at(std::ptr::null_mut(), catalog, index, keys, &mut visit);
}

/// Like [`each`], under this snapshot; NULL stands for the latest.
pub fn each_at(
    snapshot: pg_sys::Snapshot,
    catalog: pg_sys::Oid,
    index: pg_sys::Oid,
    keys: &[pg_sys::ScanKeyData],
    visit: &mut dyn FnMut(*const std::ffi::c_void) -> bool,
) {
    let mut keys = keys.to_vec();
    // SAFETY: catalog and index belong together; the keys are those of the index; a row is valid
    // until the next one is fetched.
    unsafe {
        let lockmode = LockMode::AccessShare.raw();
        let table = pg_sys::table_open(catalog, lockmode);
        let scan = pg_sys::systable_beginscan(
            table,
            index,
            true,
            snapshot,
            keys.len() as i32,
            keys.as_mut_ptr(),
        );
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() || !visit(pg_sys::GETSTRUCT(tuple).cast_const().cast()) {
                break;
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(table, lockmode);
    }
}

/// Hands each matching row of a catalog that an extension has made, with its row type, to `visit`, until that
/// says false. It is read whole: its indexes are the extension's business.
pub fn each_tuple(
    catalog: pg_sys::Oid,
    keys: &[pg_sys::ScanKeyData],
    mut visit: impl FnMut(pg_sys::TupleDesc, pg_sys::HeapTuple) -> bool,
) {
    let mut keys = keys.to_vec();
    // SAFETY: the keys are those of the table's columns; a row is valid until the next one is fetched.
    unsafe {
        let lockmode = LockMode::AccessShare.raw();
        let table = pg_sys::table_open(catalog, lockmode);
        let scan = pg_sys::systable_beginscan(
            table,
            pg_sys::InvalidOid,
            false,
            std::ptr::null_mut(),
            keys.len() as i32,
            keys.as_mut_ptr(),
        );
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() || !visit((*table).rd_att, tuple) {
                break;
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(table, lockmode);
    }
}

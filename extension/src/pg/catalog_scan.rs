//! Reading the server's catalogs through an index, as the server itself does.

use super::lock_mode::LockMode;
use pgrx::pg_sys;

/// A key that an OID column must equal.
pub fn oid_key(attnum: u32, value: pg_sys::Oid) -> pg_sys::ScanKeyData {
    key(
        attnum,
        pg_sys::BTEqualStrategyNumber,
        pg_sys::F_OIDEQ,
        value.into(),
    )
}

/// A key that a `bigint` column must equal.
pub fn int8_key(attnum: u32, value: i64) -> pg_sys::ScanKeyData {
    key(
        attnum,
        pg_sys::BTEqualStrategyNumber,
        pg_sys::F_INT8EQ,
        value.into(),
    )
}

/// Keys for the names from `low` up to, but without, `high`. The names must outlive the scan.
pub fn name_range(
    attnum: u32,
    low: &pg_sys::NameData,
    high: &pg_sys::NameData,
) -> [pg_sys::ScanKeyData; 2] {
    let datum = |name| pg_sys::Datum::from(std::ptr::from_ref::<pg_sys::NameData>(name));
    let from = pg_sys::BTGreaterEqualStrategyNumber;
    [
        key(attnum, from, pg_sys::F_NAMEGE, datum(low)),
        key(
            attnum,
            pg_sys::BTLessStrategyNumber,
            pg_sys::F_NAMELT,
            datum(high),
        ),
    ]
}

/// A key by a comparison of the column's type.
fn key(attnum: u32, strategy: u32, comparison: u32, value: pg_sys::Datum) -> pg_sys::ScanKeyData {
    let mut key = pg_sys::ScanKeyData::default();
    // SAFETY: the comparison is a function of the server; names are compared by the C collation, which is set here.
    unsafe {
        pg_sys::ScanKeyInit(
            &mut key,
            attnum as pg_sys::AttrNumber,
            strategy as pg_sys::StrategyNumber,
            comparison.into(),
            value,
        );
    }
    key
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
    // SAFETY: the row is valid while it is visited.
    scan(
        snapshot,
        catalog,
        Some(index),
        keys,
        &mut |_, tuple| unsafe { visit(pg_sys::GETSTRUCT(tuple).cast_const().cast()) },
    );
}

/// Hands each matching row of a catalog that an extension has made, with its row type, to `visit`, until that
/// says false. It is read whole: its indexes are the extension's business.
pub fn each_tuple(
    catalog: pg_sys::Oid,
    keys: &[pg_sys::ScanKeyData],
    mut visit: impl FnMut(pg_sys::TupleDesc, pg_sys::HeapTuple) -> bool,
) {
    scan(std::ptr::null_mut(), catalog, None, keys, &mut visit);
}

fn scan(
    snapshot: pg_sys::Snapshot,
    catalog: pg_sys::Oid,
    index: Option<pg_sys::Oid>,
    keys: &[pg_sys::ScanKeyData],
    visit: &mut dyn FnMut(pg_sys::TupleDesc, pg_sys::HeapTuple) -> bool,
) {
    let mut keys = keys.to_vec();
    // SAFETY: the keys are those of the index, or of the table's columns; a row is valid until the next one is fetched.
    unsafe {
        let lockmode = LockMode::AccessShare.raw();
        let table = pg_sys::table_open(catalog, lockmode);
        let scan = pg_sys::systable_beginscan(
            table,
            index.unwrap_or(pg_sys::InvalidOid),
            index.is_some(),
            snapshot,
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

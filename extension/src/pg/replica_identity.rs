//! What identifies a row of a published table: without it the server refuses to update and delete rows.

use pgrx::pg_sys;

use super::lock_mode::LockMode;
use super::relation::Relation;
use crate::error::Result;

/// Has a table's whole rows be their identity, unless it has been given another one, or has a primary key.
pub fn ensure(table: pg_sys::Oid) -> Result<()> {
    let relation = Relation::open(table, LockMode::AccessShare)?;
    // SAFETY: the relation is open. The row of pg_class is our copy until it is written.
    unsafe {
        let identity = (*(*relation.as_ptr()).rd_rel).relreplident as u8;
        let has_index = pg_sys::RelationGetReplicaIndex(relation.as_ptr()) != pg_sys::InvalidOid;
        if has_index || identity != pg_sys::REPLICA_IDENTITY_DEFAULT {
            return Ok(());
        }
        let lock = LockMode::RowExclusive.raw();
        let classes = pg_sys::table_open(pg_sys::RelationRelationId, lock);
        let tuple = pg_sys::SearchSysCacheCopy(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(table),
            pg_sys::Datum::from(0),
            pg_sys::Datum::from(0),
            pg_sys::Datum::from(0),
        );
        if !tuple.is_null() {
            let class = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
            (*class).relreplident = pg_sys::REPLICA_IDENTITY_FULL as std::ffi::c_char;
            pg_sys::CatalogTupleUpdate(classes, &mut (*tuple).t_self, tuple);
            pg_sys::heap_freetuple(tuple);
        }
        pg_sys::table_close(classes, lock);
        pg_sys::CommandCounterIncrement();
    }
    Ok(())
}

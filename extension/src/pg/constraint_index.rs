//! Indexes that constraints rest on: their own, or foreign keys of any table.

use pgrx::pg_sys;

use super::lock_mode::LockMode;
use super::name::{self, c_string};
use super::relation::Relation;
use super::tupdesc::{attribute_name, attributes};
use crate::error::Result;

/// Whether a constraint is made of the index, or a foreign key refers to a table by it.
pub fn is_of_constraint(index: pg_sys::Oid) -> bool {
    // SAFETY: both scan pg_depend by key; the list is a fresh copy of OIDs.
    unsafe {
        pg_sys::get_index_constraint(index) != pg_sys::InvalidOid
            || !pg_sys::get_index_ref_constraints(index).is_null()
    }
}

/// Gives a unique index of a table, and its constraint, the name that the server would have chosen for it.
pub fn give_own_name(table: pg_sys::Oid, index: pg_sys::Oid) -> Result<()> {
    let columns = {
        let index = Relation::open(index, LockMode::AccessShare)?;
        let names = attributes(index.tuple_desc()).iter().map(attribute_name);
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.collect::<Vec<_>>().join("_")
    };
    let table_name = c_string(&name::relation_name(table).unwrap_or_default())?;
    let columns = c_string(&columns)?;
    // SAFETY: the server copies the names it is given; that it returns is a C string of this memory context. The lock
    // is that of ALTER INDEX … RENAME.
    unsafe {
        let chosen = pg_sys::ChooseRelationName(
            table_name.as_ptr(),
            columns.as_ptr(),
            c"key".as_ptr(),
            name::namespace_of(table).unwrap_or(pg_sys::InvalidOid),
            true,
        );
        pg_sys::LockRelationOid(index, LockMode::ShareUpdateExclusive.raw());
        pg_sys::RenameRelationInternal(index, chosen, false, true);
        pg_sys::CommandCounterIncrement();
    }
    Ok(())
}

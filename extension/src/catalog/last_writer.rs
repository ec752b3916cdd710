//! Rows of `pgtrickle.pgt_last_writers`: the transaction that last changed an IMMEDIATE stream table or one of
//! its sources. Each such transaction writes it under the stream table's lock.

use crate::error::Result;
use crate::pg::catalog_row::Value;
use crate::pg::catalog_table::{CatalogTable, Key};

const TABLE: &str = "pgt_last_writers";
const BY_ID: &str = "pgt_last_writers_pkey";
const PGT_ID: usize = 1;
const XID: usize = 2;

fn key(pgt_id: i64) -> [(i16, Key); 1] {
    [(PGT_ID as i16, Key::Int8(pgt_id))]
}

/// The full id of the transaction that changed it last, if one has.
pub fn last_writer(pgt_id: i64) -> Result<Option<u64>> {
    let mut found = None;
    CatalogTable::open(TABLE)?.visit(Some(BY_ID), &key(pgt_id), |row| {
        found = Some(row.require::<i64>(XID)?.cast_unsigned());
        Ok(())
    })?;
    Ok(found)
}

/// Whether the table has ever had a row, judging by its file.
pub fn has_been_any() -> Result<bool> {
    Ok(!CatalogTable::open(TABLE)?.has_no_pages())
}

/// Stores another one, in the place of what is there.
pub fn set_last_writer(pgt_id: i64, xid: u64, is_there: bool) -> Result<()> {
    let table = CatalogTable::open_for_update(TABLE)?;
    let xid = Value::of(xid.cast_signed());
    if is_there {
        table.update(BY_ID, &key(pgt_id), &[(XID, xid)])?;
    } else {
        table.insert(&[Value::of(pgt_id), xid]);
    }
    Ok(())
}

/// Removes it with the stream table.
pub fn delete_last_writer(pgt_id: i64) -> Result<()> {
    CatalogTable::open_for_update(TABLE)?.delete(BY_ID, &key(pgt_id))?;
    Ok(())
}

//! Waking the scheduler for the readers of altered views and tables: what they compute may be different, and no change
//! is captured.

use pgrx::pg_sys;

use crate::catalog;
use crate::cdc;
use crate::error::Result;
use crate::pg::rows_of;
use crate::shmem::notes;

/// Stream tables that read any of these relations, also through views.
const READERS: &str = "
WITH RECURSIVE dependent (object) AS (
    SELECT pg_catalog.unnest($1)
    UNION
    SELECT r.ev_class
    FROM dependent u
    JOIN pg_catalog.pg_depend d
      ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = u.object
     AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
)
SELECT t.pgt_id FROM dependent d JOIN pgtrickle.pgt_stream_tables t ON t.view_relid = d.object";

/// Has the scheduler look at the readers of these relations. A refresh finds out whether anything is different.
pub fn readers_of(relations: &[pg_sys::Oid]) -> Result<()> {
    if relations.is_empty() {
        return Ok(());
    }
    let readers = rows_of::column(READERS, &[relations.to_vec().into()])?;
    readers.into_iter().try_for_each(reader)
}

/// Has the scheduler look at a stream table.
pub fn reader(pgt_id: i64) -> Result<()> {
    for dependency in catalog::dependencies(pgt_id)? {
        if let Some(buffer) = cdc::buffer_of(dependency.source)? {
            notes::dirty(buffer);
        }
    }
    Ok(())
}

//! Replaced and altered functions: a query with the same text may now compute other values.

use pgrx::pg_sys;

use super::locks;
use crate::catalog;
use crate::error::Result;
use crate::pg::{depend, rows_of};

/// Stream tables whose queries use a function that has just been replaced or altered: by itself, through views, other
/// functions that name it as an object, aggregates, operators, casts, and policies of the tables that they read.
const READERS: &str = "
WITH RECURSIVE dependent (class, object) AS (
    SELECT classid, objid FROM pg_catalog.pg_event_trigger_ddl_commands()
    WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    UNION
    SELECT CASE WHEN COALESCE(r.oid, p.oid) IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid END,
           COALESCE(r.ev_class, p.polrelid, d.objid)
    FROM dependent u
    JOIN pg_catalog.pg_depend d ON d.refclassid = u.class AND d.refobjid = u.object
    LEFT JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    LEFT JOIN pg_catalog.pg_policy p ON p.oid = d.objid AND d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
    WHERE d.classid IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
                        'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_cast'::pg_catalog.regclass,
                        'pg_catalog.pg_policy'::pg_catalog.regclass)
)
SELECT DISTINCT t.pgt_id FROM dependent d
JOIN pgtrickle.pgt_stream_tables t ON t.view_relid = d.object AND d.class = 'pg_catalog.pg_class'::pg_catalog.regclass
ORDER BY t.pgt_id";

/// Where functions are.
pub const CLASSES: &[pg_sys::Oid] = &[pg_sys::ProcedureRelationId];

/// Has the readers of such functions recomputed by their next refresh. Whether there are any.
pub fn forget_plans() -> Result<bool> {
    let readers: Vec<i64> = rows_of::column(READERS, &[])?;
    for pgt_id in &readers {
        forget_plan(*pgt_id)?;
    }
    Ok(!readers.is_empty())
}

/// Has a stream table recomputed by its next refresh, and every session read its query again.
pub fn forget_plan(pgt_id: i64) -> Result<()> {
    if let Some(table) = catalog::load(pgt_id)? {
        locks::lock_sources_of(&table, table.requested_mode)?;
        catalog::lock(pgt_id)?;
        catalog::forget_plan(pgt_id)?;
        depend::tell_of_change(table.view);
    }
    Ok(())
}

//! Altered extensions, types, operators and operator classes: statements name them, and indexes depend on them.

use pgrx::prelude::*;

use super::functions::forget_plan;
use crate::catalog;
use crate::error::{Error, Result};
use crate::pg::depend;

/// Stream tables that read, or whose queries use, anything of an extension that has just been updated or moved, a
/// type that has, an operator, or a type that an operator class is for: through views, columns, and other types. Of a
/// type itself only its name, its schema or its labels can be others now. Members of this extension do not count.
const READERS: &str = "
WITH RECURSIVE command AS (
    SELECT classid AS class, objid AS object FROM pg_catalog.pg_event_trigger_ddl_commands()
), altered (class, object, is_name) AS (
    SELECT d.classid, d.objid, false
    FROM command c
    JOIN pg_catalog.pg_extension e ON e.oid = c.object AND e.extname <> 'pg_trickle'
    JOIN pg_catalog.pg_depend d ON d.refclassid = c.class AND d.refobjid = e.oid AND d.deptype = 'e'
    WHERE c.class = 'pg_catalog.pg_extension'::pg_catalog.regclass
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, o.opcintype, false
    FROM command c
    JOIN pg_catalog.pg_opclass o
      ON c.class = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND o.oid = c.object
      OR c.class = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND o.opcfamily = c.object
    UNION ALL
    SELECT class, object, class = 'pg_catalog.pg_type'::pg_catalog.regclass
    FROM command
    WHERE class IN ('pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass)
), dependent (class, object, is_name) AS (
    SELECT class, object, is_name FROM altered
    UNION
    SELECT CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid END,
           COALESCE(r.ev_class, d.objid), u.is_name
    FROM dependent u
    JOIN pg_catalog.pg_depend d ON d.refclassid = u.class AND d.refobjid = u.object
    LEFT JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    WHERE d.classid IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
                        'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_cast'::pg_catalog.regclass,
                        'pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass)
)
SELECT t.pgt_id, pg_catalog.bool_and(d.is_name) FROM dependent d
JOIN pgtrickle.pgt_stream_tables t ON t.view_relid = d.object AND d.class = 'pg_catalog.pg_class'::pg_catalog.regclass
GROUP BY t.pgt_id ORDER BY t.pgt_id";

/// Where such objects are.
pub const CLASSES: &[pg_sys::Oid] = &[
    pg_sys::ExtensionRelationId,
    pg_sys::OperatorClassRelationId,
    pg_sys::OperatorFamilyRelationId,
    pg_sys::OperatorRelationId,
    pg_sys::TypeRelationId,
];

/// Has the readers recomputed by their next refresh, or only read again where nothing but names can have changed.
/// Whether there are any.
pub fn forget_plans() -> Result<bool> {
    let readers = Spi::connect(|client| {
        let mut readers: Vec<(i64, bool)> = Vec::new();
        for row in client.select(READERS, None, &[])? {
            readers.extend(row.get::<i64>(1)?.zip(row.get::<bool>(2)?));
        }
        Ok::<_, spi::Error>(readers)
    });
    let readers = readers.map_err(|error| Error::Internal(error.to_string()))?;
    for (pgt_id, is_name) in &readers {
        match (is_name, catalog::load(*pgt_id)?) {
            (true, Some(table)) => depend::tell_of_change(table.view),
            _ => forget_plan(*pgt_id)?,
        }
    }
    Ok(!readers.is_empty())
}

//! Altered extensions, types, operators, operator classes, text search configurations and collations: statements name
//! them, and indexes depend on them.

use pgrx::prelude::*;

use super::commands::Command;
use super::functions::forget_plan;
use super::wake;
use crate::catalog::{self, StreamTable};
use crate::error::Result;
use crate::pg::{depend, removal, rows_of};
use crate::refresh;

/// Stream tables that read, or whose queries use, anything of an extension that has just been updated or moved, a
/// type that has, an operator, a type that an operator class is for, a text search configuration or dictionary, or a
/// collation: through views, columns, and other types. Of a type that has no attributes only its name, its schema or its
/// labels can be others now. `is_row`: the attributes of a row type are others. Members of this extension do not count.
/// A kept `default_text_search_config` names its configuration.
const READERS: &str = "
WITH RECURSIVE command AS (
    SELECT classid AS class, objid AS object FROM pg_catalog.pg_event_trigger_ddl_commands()
), altered (class, object, is_name, is_row) AS (
    SELECT d.classid, d.objid, false, false
    FROM command c
    JOIN pg_catalog.pg_extension e ON e.oid = c.object AND e.extname <> 'pg_trickle'
    JOIN pg_catalog.pg_depend d ON d.refclassid = c.class AND d.refobjid = e.oid AND d.deptype = 'e'
    WHERE c.class = 'pg_catalog.pg_extension'::pg_catalog.regclass
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, o.opcintype, false, false
    FROM command c
    JOIN pg_catalog.pg_opclass o
      ON c.class = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND o.oid = c.object
      OR c.class = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND o.opcfamily = c.object
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, r.reltype, false, true
    FROM command c
    JOIN pg_catalog.pg_class r ON c.class = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.oid = c.object
    WHERE r.reltype <> 0
    UNION ALL
    SELECT class, object, class = 'pg_catalog.pg_type'::pg_catalog.regclass, false
    FROM command
    WHERE class IN ('pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass,
                    'pg_catalog.pg_ts_config'::pg_catalog.regclass, 'pg_catalog.pg_ts_dict'::pg_catalog.regclass,
                    'pg_catalog.pg_collation'::pg_catalog.regclass)
), dependent (class, object, is_name, is_row) AS (
    SELECT class, object, is_name, is_row FROM altered
    UNION
    SELECT CASE WHEN c.oid IS NOT NULL THEN 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid
                WHEN r.oid IS NOT NULL THEN 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid ELSE d.classid END,
           COALESCE(c.reltype, r.ev_class, d.objid), u.is_name, u.is_row
    FROM dependent u
    JOIN pg_catalog.pg_depend d ON d.refclassid = u.class AND d.refobjid = u.object
    LEFT JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    LEFT JOIN pg_catalog.pg_class c
      ON c.oid = d.objid AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.relkind = 'c'
    WHERE d.classid IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
                        'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_cast'::pg_catalog.regclass,
                        'pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass,
                        'pg_catalog.pg_ts_config'::pg_catalog.regclass)
), reader AS (
    SELECT t.pgt_id, d.is_name, d.is_row FROM dependent d
    JOIN pgtrickle.pgt_stream_tables t ON t.view_relid = d.object AND d.class = 'pg_catalog.pg_class'::pg_catalog.regclass
    UNION ALL
    SELECT t.pgt_id, false, false FROM dependent d
    JOIN pg_catalog.pg_ts_config c ON d.class = 'pg_catalog.pg_ts_config'::pg_catalog.regclass AND c.oid = d.object
    JOIN pg_catalog.pg_namespace n ON n.oid = c.cfgnamespace
    JOIN pgtrickle.pgt_stream_tables t
      ON 'default_text_search_config=' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.cfgname)
         = ANY (t.settings)
)
SELECT pgt_id, pg_catalog.bool_and(is_name), pg_catalog.bool_or(is_row) FROM reader
GROUP BY pgt_id ORDER BY pgt_id";

/// Where such objects are.
const CLASSES: &[pg_sys::Oid] = &[
    pg_sys::CollationRelationId,
    pg_sys::ExtensionRelationId,
    pg_sys::OperatorClassRelationId,
    pg_sys::OperatorFamilyRelationId,
    pg_sys::OperatorRelationId,
    pg_sys::TSConfigRelationId,
    pg_sys::TSDictionaryRelationId,
    pg_sys::TypeRelationId,
];

/// Whether a command may have altered such an object: also a row type that something else uses.
pub fn are_altered(command: &Command) -> bool {
    CLASSES.contains(&command.class)
        || (command.class == pg_sys::RelationRelationId && depend::row_type_is_used(command.object))
}

/// Has the readers recomputed by their next refresh, or only read again where nothing but names can have changed.
/// Whether there are any.
pub fn forget_plans() -> Result<bool> {
    let readers = rows_of::rows(READERS, &[], |row| {
        let kind: Option<(bool, bool)> = row.get(2)?.zip(row.get(3)?);
        Ok(row.get::<i64>(1)?.zip(kind))
    })?;
    for (pgt_id, (is_name, is_row)) in &readers {
        let Some(table) = catalog::load(*pgt_id)? else {
            continue;
        };
        match is_name {
            true => {
                depend::tell_of_change(table.view);
                wake::reader(*pgt_id)?;
            }
            false => forget_plan(*pgt_id)?,
        }
        if *is_row {
            reindex(&table)?;
        }
    }
    Ok(!readers.is_empty())
}

/// Makes the indexes of a stream table and of its state again: the hash of a row counts its attributes.
fn reindex(table: &StreamTable) -> Result<()> {
    removal::reindex(table.relid);
    for state in refresh::state_tables(table.pgt_id)? {
        removal::reindex(state);
    }
    Ok(())
}

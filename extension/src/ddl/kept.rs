//! Users' declarations on a table, as statements that repeat them on its replacement; and
//! those that cannot be repeated.
//!
//! The server prints and quotes everything. Statements run as the owner, except those about
//! publications, which may belong to another role.

use pgrx::prelude::*;

use crate::error::{Error, Result};
use crate::pg::error_context::ErrorContext;
use crate::pg::settings::Settings;
use crate::pg::user::OwnerContext;
use crate::pg::{name, rows_of, utility};

/// What would be lost with the table `$1`: what depends on it, and what depends on its columns `$2`.
const LOST: &str = "
WITH own (class, object) AS (
    SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = $1
    UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = $1
    UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid = $1
    UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid = $1
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext WHERE stxrelid = $1
    UNION ALL SELECT 'pg_publication_rel'::regclass, oid FROM pg_publication_rel WHERE prrelid = $1
    UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = $1
), others AS (
    SELECT d.classid, d.objid, d.objsubid FROM pg_depend d
    WHERE d.deptype = 'n' AND (d.classid, d.objid) NOT IN (SELECT class, object FROM own)
      AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = $1
           OR d.refclassid = 'pg_type'::regclass
          AND d.refobjid IN (SELECT t.oid FROM pg_class c JOIN pg_type t ON c.reltype IN (t.oid, t.typelem) WHERE c.oid = $1))
), resting AS (
    SELECT d.classid, d.objid, 0 AS objsubid FROM pg_depend d JOIN own ON own.class = d.classid AND own.object = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = ANY ($2::pg_catalog.int4[])
      AND d.classid <> 'pg_attrdef'::regclass
      AND NOT EXISTS (SELECT FROM pg_constraint n WHERE n.oid = d.objid AND d.classid = 'pg_constraint'::regclass AND n.contype = 'n')
      AND NOT EXISTS (SELECT FROM pg_class i WHERE i.oid = d.objid AND d.classid = 'pg_class'::regclass
                      AND i.relname ~ '^pgt_(key|partition)_[0-9]+$')
)
SELECT DISTINCT coalesce(
    (SELECT pg_describe_object('pg_class'::regclass, coalesce(s.pgt_relid, r.ev_class), 0)
     FROM pg_rewrite r LEFT JOIN pgtrickle.pgt_stream_tables s ON s.view_relid = r.ev_class
     WHERE l.classid = 'pg_rewrite'::regclass AND r.oid = l.objid),
    pg_describe_object(l.classid, l.objid, l.objsubid)) AS what
FROM (SELECT * FROM others UNION ALL SELECT * FROM resting) l ORDER BY 1";

/// What has been declared on the table `$1`, for one with the name `$2` and the columns `$3`.
const DECLARED: &str = "
SELECT s.statement FROM (
    SELECT 1 AS place, 0::int8 AS part, format('ALTER TABLE %s SET (%s)', $2, string_agg(
               format('%s%I = %L', o.prefix, split_part(o.option, '=', 1), substr(o.option, strpos(o.option, '=') + 1)), ', ')) AS statement
    FROM (SELECT '' AS prefix, unnest(c.reloptions) AS option FROM pg_class c WHERE c.oid = $1
          UNION ALL SELECT 'toast.', unnest(t.reloptions) FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = $1) o
    HAVING count(*) > 0
    UNION ALL
    SELECT 1, 1, format('ALTER TABLE %s SET TABLESPACE %I', $2, t.spcname)
    FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE c.oid = $1
    UNION ALL
    SELECT 2, a.attnum, format('ALTER TABLE %s ALTER %I %s', $2, a.attname, p.property)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    CROSS JOIN LATERAL (VALUES
        ('SET STATISTICS ' || a.attstattarget),
        (CASE WHEN a.attstorage <> t.typstorage
              THEN 'SET STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END END),
        (CASE a.attcompression WHEN 'p' THEN 'SET COMPRESSION pglz' WHEN 'l' THEN 'SET COMPRESSION lz4' END),
        ('SET (' || (SELECT string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ') FROM unnest(a.attoptions) o) || ')')
    ) p (property)
    WHERE a.attrelid = $1 AND a.attnum > 0 AND a.attname = ANY ($3) AND p.property IS NOT NULL
    UNION ALL
    SELECT 3 + strpos('npuxcf', n.contype::text), n.oid::int8, format('ALTER TABLE %s ADD CONSTRAINT %I %s', $2, n.conname, pg_get_constraintdef(n.oid))
    FROM pg_constraint n WHERE n.conrelid = $1 AND n.contype IN ('n', 'p', 'u', 'x', 'c', 'f')
      AND (n.contype <> 'n' OR (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum = n.conkey[1]) = ANY ($3))
    UNION ALL
    SELECT 10, i.indexrelid::int8, pg_get_indexdef(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = $1 AND i.indisvalid AND c.relname !~ '^pgt_(key|partition)_[0-9]+$'
      AND NOT EXISTS (SELECT FROM pg_constraint n WHERE n.conindid = i.indexrelid AND n.conrelid = $1)
    UNION ALL
    SELECT 11, i.indexrelid::int8, format(d.form, $2, c.relname)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    CROSS JOIN (VALUES ('c', 'ALTER TABLE %s CLUSTER ON %I'), ('r', 'ALTER TABLE %s REPLICA IDENTITY USING INDEX %I')) d (kind, form)
    WHERE i.indrelid = $1 AND (d.kind = 'c' AND i.indisclustered OR d.kind = 'r' AND i.indisreplident)
    UNION ALL
    SELECT 11, 0, format('ALTER TABLE %s REPLICA IDENTITY %s', $2, CASE c.relreplident WHEN 'd' THEN 'DEFAULT' ELSE 'NOTHING' END)
    FROM pg_class c WHERE c.oid = $1 AND c.relreplident IN ('d', 'n')
    UNION ALL
    SELECT 12, e.oid::int8, pg_get_statisticsobjdef(e.oid) FROM pg_statistic_ext e WHERE e.stxrelid = $1
    UNION ALL
    SELECT 13, t.oid::int8, pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE t.tgrelid = $1 AND NOT t.tgisinternal
    UNION ALL
    SELECT 14, t.oid::int8, format('ALTER TABLE %s %s TRIGGER %I', $2,
           CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, t.tgname)
    FROM pg_trigger t WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND t.tgenabled <> 'O'
    UNION ALL
    SELECT 15, p.oid::int8, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, $2,
           CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
           (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(p.polroles) r),
           ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    FROM pg_policy p WHERE p.polrelid = $1
    UNION ALL
    SELECT 16, 0, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', $2) FROM pg_class c WHERE c.oid = $1 AND c.relrowsecurity
    UNION ALL
    SELECT 16, 1, format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', $2) FROM pg_class c WHERE c.oid = $1 AND c.relforcerowsecurity
    UNION ALL
    SELECT 17, d.objsubid, format('COMMENT ON %s IS %L',
           CASE d.objsubid WHEN 0 THEN 'TABLE ' || $2 ELSE format('COLUMN %s.%I', $2, a.attname) END, d.description)
    FROM pg_description d LEFT JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = d.objsubid
    WHERE d.objoid = $1 AND d.classoid = 'pg_class'::regclass AND (d.objsubid = 0 OR a.attname = ANY ($3))
    UNION ALL
    SELECT 18, d.objoid::int8, format('COMMENT ON %s IS %L', o.object, d.description)
    FROM (SELECT 'pg_class'::regclass AS class, i.indexrelid AS oid, format('INDEX %s', i.indexrelid::regclass) AS object FROM pg_index i
          JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1 AND c.relname !~ '^pgt_(key|partition)_[0-9]+$'
          UNION ALL SELECT 'pg_constraint'::regclass, n.oid, format('CONSTRAINT %I ON %s', n.conname, $2) FROM pg_constraint n WHERE n.conrelid = $1
          UNION ALL SELECT 'pg_trigger'::regclass, t.oid, format('TRIGGER %I ON %s', t.tgname, $2) FROM pg_trigger t WHERE t.tgrelid = $1
          UNION ALL SELECT 'pg_policy'::regclass, p.oid, format('POLICY %I ON %s', p.polname, $2) FROM pg_policy p WHERE p.polrelid = $1) o
    JOIN pg_description d ON d.classoid = o.class AND d.objoid = o.oid
) s ORDER BY s.place, s.part";

/// The privileges on the table `$1`, for one with the name `$2` and the columns `$3`.
const GRANTED: &str = "
SELECT format('GRANT %s ON TABLE %s TO %s%s', g.privilege_type, $2,
       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
       CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g WHERE c.oid = $1
UNION ALL
SELECT format('GRANT %s (%I) ON TABLE %s TO %s%s', g.privilege_type, a.attname, $2,
       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
       CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_attribute a, aclexplode(a.attacl) g WHERE a.attrelid = $1 AND NOT a.attisdropped AND a.attname = ANY ($3)";

/// The publications that the table `$1` has been added to, by statements for one with the name `$2`.
const PUBLISHED: &str = "
SELECT format('ALTER PUBLICATION %I ADD TABLE %s%s%s', p.pubname, $2,
       ' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = $1 AND a.attnum = ANY (r.prattrs::int2[])) || ')',
       ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')')
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1 ORDER BY p.pubname";

/// What default privileges have granted on a relation that has just been made, as statements that take it back.
const REVOKED: &str = "
SELECT DISTINCT format('REVOKE ALL ON TABLE %s FROM %s', $2,
       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END)
FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g WHERE c.oid = $1";

/// What has been declared on a table.
#[derive(Debug)]
pub struct Kept {
    qualified: String,
    declared: Vec<String>,
    granted: Vec<String>,
    published: Vec<String>,
}

/// Reads what a table with this name carries over to one that has the columns `names`; `gone` are the numbers of
/// its columns that the other has not.
///
/// # Errors
/// [`Error::CannotKeep`] with what would be lost.
pub fn of(table: pg_sys::Oid, qualified: &str, names: Vec<String>, gone: Vec<i32>) -> Result<Kept> {
    let _pinned = OwnerContext::extension_owner()?;
    let lost = rows_of::latest_column(LOST, &[table.into(), gone.into()])?;
    if !lost.is_empty() {
        return Err(Error::CannotKeep {
            table: name::relation_name(table).unwrap_or_default(),
            lost,
        });
    }
    let about = [table.into(), qualified.into(), names.into()];
    Ok(Kept {
        qualified: qualified.to_owned(),
        declared: rows_of::latest_column(DECLARED, &about)?,
        granted: rows_of::latest_column(GRANTED, &about)?,
        published: rows_of::latest_column(PUBLISHED, &[table.into(), qualified.into()])?,
    })
}

impl Kept {
    /// Declares it on the table that has taken the name.
    pub fn declare(&self, table: pg_sys::Oid, owner: pg_sys::Oid) -> Result<()> {
        {
            let _owner = OwnerContext::enter(owner, &Settings::default())?;
            // The owner may have given up what declaring it takes.
            (self.declared.iter()).try_for_each(|sql| self.run(sql, utility::run))?;
            let revoked =
                rows_of::latest_column(REVOKED, &[table.into(), self.qualified.as_str().into()])?;
            let mut privileges = revoked.iter().chain(&self.granted);
            privileges.try_for_each(|sql| self.run(sql, utility::run))?;
        }
        let mut published = self.published.iter();
        published.try_for_each(|sql| self.run(sql, utility::run_as_extension_owner))
    }

    /// Runs a statement. An error of it tells which one it was: the user's own, and not one of ours.
    fn run(&self, sql: &str, run: fn(&str) -> Result<()>) -> Result<()> {
        let line = format!("declaring again on {}: {sql}", self.qualified);
        let context = ErrorContext::enter(&name::c_string(&line)?);
        let outcome = run(sql);
        if outcome.is_err() {
            context.stay();
        }
        outcome
    }
}

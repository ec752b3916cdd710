//! Turning a materialized view into a stream table with the same name, columns, indexes, comments, owner and privileges.
//!
//! The server prints the view's properties as statements; the view is dropped;
//! a stream table with its query takes the name; the statements restore the properties. All of this runs as the
//! owner, whose query and index expressions are evaluated, in the caller's
//! transaction: a failure leaves the view unchanged.

use pgrx::prelude::*;

use super::create;
use super::definition::Definition;
use crate::catalog::RequestedMode;
use crate::error::{Error, Result};
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::settings::Settings;
use crate::pg::table::TableFacts;
use crate::pg::user::OwnerContext;
use crate::pg::{acl, depend, name, rows_of, utility, view};

/// What a relation has beside its rows, each as the statement that gives it to `$2`. Indexes come first, because
/// some comments are about them. Privileges are granted again by the owner, even if another role granted them.
const PARTS: &str = "
SELECT s.statement FROM (
    SELECT 1 AS place, i.indexrelid::pg_catalog.int8 AS part, pg_catalog.pg_get_indexdef(i.indexrelid) AS statement
    FROM pg_catalog.pg_index i WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisvalid
    UNION ALL
    SELECT 2, i.indexrelid::pg_catalog.int8, pg_catalog.format('COMMENT ON INDEX %I.%I IS %L', n.nspname, c.relname, d.description)
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    JOIN pg_catalog.pg_description d ON d.objoid OPERATOR(pg_catalog.=) c.oid
     AND d.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid OPERATOR(pg_catalog.=) 0
    WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisvalid
    UNION ALL
    SELECT 3, d.objsubid, CASE d.objsubid WHEN 0 THEN pg_catalog.format('COMMENT ON TABLE %s IS %L', $2, d.description)
           ELSE pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', $2, a.attname, d.description) END
    FROM pg_catalog.pg_description d
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.=) d.objsubid
    WHERE d.objoid OPERATOR(pg_catalog.=) $1 AND d.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
    UNION ALL
    SELECT 4, 0, pg_catalog.format('GRANT %s ON TABLE %s TO %s%s', g.privilege_type, $2,
           CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
           CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_catalog.pg_class c, pg_catalog.aclexplode(COALESCE(c.relacl, pg_catalog.acldefault('r', c.relowner))) g
    WHERE c.oid OPERATOR(pg_catalog.=) $1
    UNION ALL
    SELECT 5, a.attnum, pg_catalog.format('GRANT %s (%I) ON TABLE %s TO %s%s', g.privilege_type, a.attname, $2,
           CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
           CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) g
    WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND NOT a.attisdropped
) s ORDER BY s.place, s.part";

/// What default privileges have granted on a relation that has just been made, as statements that take it back.
const REVOCATIONS: &str = "
SELECT DISTINCT pg_catalog.format('REVOKE ALL ON TABLE %s FROM %s', $2,
       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END)
FROM pg_catalog.pg_class c, pg_catalog.aclexplode(COALESCE(c.relacl, pg_catalog.acldefault('r', c.relowner))) g
WHERE c.oid OPERATOR(pg_catalog.=) $1";

/// What depends on the relation `$1`, as the server describes it: of a rule, its view. `$2` is its name.
const DEPENDENTS: &str = "
SELECT DISTINCT pg_catalog.pg_describe_object(
           CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid END,
           COALESCE(r.ev_class, d.objid), CASE WHEN r.oid IS NULL THEN d.objsubid ELSE 0 END) AS what
FROM pg_catalog.pg_depend d
LEFT JOIN pg_catalog.pg_rewrite r ON r.oid OPERATOR(pg_catalog.=) d.objid
      AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
WHERE d.refobjid OPERATOR(pg_catalog.=) $1 AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.deptype OPERATOR(pg_catalog.=) 'n' AND $2 IS NOT NULL
ORDER BY what";

/// Converts the materialized view of this name.
pub fn convert(name: &str, schedule: &str) -> Result<()> {
    let relid =
        name::find_relation(name)?.ok_or_else(|| Error::UnknownView(name.trim().to_owned()))?;
    let facts = lock(relid, name)?;
    let (qualified, plain_name) = (
        facts.qualified,
        name::relation_name(relid).ok_or(Error::Vanished)?,
    );
    if depend::has_dependents(relid) {
        return Err(Error::ViewHasDependents {
            view: plain_name,
            dependents: statements(DEPENDENTS, relid, &qualified)?,
        });
    }
    let owner = depend::owner_of(relid).ok_or(Error::Vanished)?;
    let is_populated = Relation::open(relid, LockMode::None)?.is_populated();
    let settings = Settings::of_session();
    let _owner = OwnerContext::enter(owner, &settings)?;
    let query = view::definition(relid)?;
    let parts = statements(PARTS, relid, &qualified)?;
    utility::run(&format!("DROP MATERIALIZED VIEW {qualified}"))?;
    create::create(&Definition {
        name: &qualified,
        query: &query,
        schedule,
        mode: RequestedMode::Auto,
        initialize: is_populated,
        may_spread: false,
        distribution_column: None,
        settings,
    })?;
    let relid = name::find_relation(&qualified)?.ok_or(Error::Vanished)?;
    let revocations = statements(REVOCATIONS, relid, &qualified)?;
    revocations
        .iter()
        .chain(&parts)
        .try_for_each(|sql| utility::run(sql))
}

/// Makes sure that it is one of the caller's materialized views, and that no one else uses it.
fn lock(relid: pg_sys::Oid, name: &str) -> Result<TableFacts> {
    let unknown = || Error::UnknownView(name.trim().to_owned());
    let facts = TableFacts::load(relid).ok_or_else(unknown)?;
    let plain_name = name::relation_name(relid).ok_or_else(unknown)?;
    if facts.kind != pg_sys::RELKIND_MATVIEW {
        return Err(Error::NotAMaterializedView(plain_name));
    }
    if !acl::owns_relation(relid) {
        return Err(Error::NotOwnerOfView(plain_name));
    }
    // Closing it keeps the lock to the end of the transaction.
    drop(Relation::try_open(relid, LockMode::AccessExclusive).ok_or_else(unknown)?);
    Ok(facts)
}

fn statements(sql: &str, relid: pg_sys::Oid, qualified: &str) -> Result<Vec<String>> {
    rows_of::latest_column(sql, &[relid.into(), qualified.into()])
}

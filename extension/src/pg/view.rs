//! Creating a view from an analysed query, like `CREATE VIEW`, but in a schema
//! where the caller has no CREATE privilege.
//!
//! The query has been analysed by the server with the caller's rights and search path; it is never
//! pasted into a statement. Only the registration of the empty relation runs with more rights.

use std::ffi::CStr;

use pgrx::{IntoDatum, PgList, pg_sys};

use crate::error::{Error, Result};
use crate::pg::deparse::PrintSettings;
use crate::pg::ffi;
use crate::pg::name::c_string;
use crate::pg::node::NodeOf;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::user::{self, OwnerContext};
use crate::pg::version;

/// Stores an analysed SELECT as the view `schema.name`, owned by the current user.
pub fn create(schema: &str, name: &str, query: NodeOf<pg_sys::Query>) -> Result<pg_sys::Oid> {
    let analysed = query.as_ptr();
    // SAFETY: an analysed query.
    if unsafe { version::temporary::is_used_by(analysed) } {
        return Err(Error::TemporarySource);
    }
    let columns = column_definitions(analysed)?;
    let (schema, name) = (c_string(schema)?, c_string(name)?);
    let owner = user::current();
    // SAFETY: a CreateStmt as DefineView builds it; the analysed query is complete and belongs to
    // the current memory context.
    unsafe {
        let relation = pg_sys::makeRangeVar(
            pg_sys::pstrdup(schema.as_ptr()),
            pg_sys::pstrdup(name.as_ptr()),
            -1,
        );
        let mut statement =
            pgrx::PgBox::<pg_sys::CreateStmt>::alloc_node(pg_sys::NodeTag::T_CreateStmt);
        statement.relation = relation;
        statement.tableElts = columns;
        statement.oncommit = pg_sys::OnCommitAction::ONCOMMIT_NOOP;
        let statement = statement.into_pg();
        let address = {
            let _elevated = OwnerContext::extension_owner()?;
            pg_sys::DefineRelation(
                statement,
                pg_sys::RELKIND_VIEW as std::ffi::c_char,
                owner,
                std::ptr::null_mut(),
                std::ptr::null(),
            )
        };
        pg_sys::CommandCounterIncrement();
        ffi::StoreViewQuery(address.objectId, analysed, false);
        pg_sys::CommandCounterIncrement();
        if uses_temporary_object(address.objectId)? {
            return Err(Error::TemporarySource);
        }
        Ok(address.objectId)
    }
}

/// Whether the view goes when this session ends, with a function or a type that it uses.
fn uses_temporary_object(view: pg_sys::Oid) -> Result<bool> {
    // The fence keeps the server from describing every object of the database first.
    const SQL: &str = "
WITH own (class, object) AS MATERIALIZED (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, $1
    UNION ALL
    SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid, oid
    FROM pg_catalog.pg_rewrite WHERE ev_class OPERATOR(pg_catalog.=) $1
), used AS MATERIALIZED (
    SELECT d.refclassid, d.refobjid FROM own JOIN pg_catalog.pg_depend d
      ON d.classid OPERATOR(pg_catalog.=) own.class AND d.objid OPERATOR(pg_catalog.=) own.object
)
SELECT pg_catalog.count(*) FROM used
WHERE (pg_catalog.pg_identify_object(refclassid, refobjid, 0)).schema OPERATOR(pg_catalog.~) '^pg_temp_'";
    // Its dependencies are younger than the active snapshot: hence not read-only.
    let found = pgrx::Spi::connect_mut(|client| {
        client
            .update(SQL, None, &[view.into()])?
            .first()
            .get_one::<i64>()
    });
    match found {
        Ok(count) => Ok(count.is_some_and(|count| count > 0)),
        Err(error) => Err(Error::Internal(error.to_string())),
    }
}

/// The name of an output column.
///
/// # Safety
/// An entry of an analysed query that is not junk.
unsafe fn name_of(target: *const pg_sys::TargetEntry) -> String {
    // SAFETY: per contract, it has one.
    let name = unsafe { CStr::from_ptr((*target).resname) };
    name.to_string_lossy().into_owned()
}

/// One ColumnDef per output column.
fn column_definitions(query: *mut pg_sys::Query) -> Result<*mut pg_sys::List> {
    let mut columns = PgList::<pg_sys::ColumnDef>::new();
    // SAFETY: walks the target list of an analysed query.
    unsafe {
        let targets = PgList::<pg_sys::TargetEntry>::from_pg((*query).targetList);
        for target in targets.iter_ptr().filter(|target| !(**target).resjunk) {
            let expr = (*target).expr.cast::<pg_sys::Node>();
            let kind = pg_sys::exprType(expr);
            let collation = pg_sys::exprCollation(expr);
            // A view may have such a column, a table may not.
            if !pg_sys::SystemAttributeByName((*target).resname).is_null() {
                return Err(Error::SystemColumn(name_of(target)));
            }
            if collation == pg_sys::InvalidOid && pg_sys::type_is_collatable(kind) {
                return Err(Error::UnknownCollation(name_of(target)));
            }
            columns.push(pg_sys::makeColumnDef(
                (*target).resname,
                kind,
                pg_sys::exprTypmod(expr),
                collation,
            ));
        }
    }
    if columns.is_empty() {
        return Err(Error::BadQuery("The query has no output columns.".into()));
    }
    Ok(columns.into_pg())
}

/// The view's query as the server prints it, with literals that any session reads back as the same value.
pub fn definition(view: pg_sys::Oid) -> Result<String> {
    let _settings = PrintSettings::pin();
    // The server reads the rule under the active snapshot, which is older than a view made now.
    let _snapshot = ActiveSnapshot::push();
    // SAFETY: a strict function of one OID; it returns NULL when there is no such view.
    unsafe { pgrx::direct_function_call::<String>(pg_sys::pg_get_viewdef, &[view.into_datum()]) }
        .ok_or(Error::RelationVanished(view))
}

/// Gives the view another name in its schema.
pub fn rename(view: pg_sys::Oid, name: &str) -> Result<()> {
    let name = c_string(name)?;
    // SAFETY: the name is copied.
    unsafe {
        pg_sys::RenameRelationInternal(view, name.as_ptr(), true, false);
        pg_sys::CommandCounterIncrement();
    }
    Ok(())
}

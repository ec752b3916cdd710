//! What row security hides, as the server sees it.

use pgrx::pg_sys;

use super::lock_mode::LockMode;
use super::node::{self, Node, NodeOf};
use super::relation::Relation;

/// Whether policies apply to what a role reads of a table.
pub fn applies(table: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    check(table, role) == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
}

/// Whether they could, if the role had other attributes.
pub fn may_apply(table: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    check(table, role) != pg_sys::CheckEnableRlsResult::RLS_NONE as i32
}

fn check(table: pg_sys::Oid, role: pg_sys::Oid) -> i32 {
    // SAFETY: catalog look-ups; the third argument asks for no error.
    unsafe { pg_sys::check_enable_rls(table, role, true) }
}

/// What the policies say of a table that an analysed query reads, each of which must be true of a row that is seen;
/// `None` where one of them has a subquery. Columns stand in them as they would in the query.
pub fn conditions(
    query: NodeOf<pg_sys::Query>,
    entry: NodeOf<pg_sys::RangeTblEntry>,
) -> Option<Vec<Node>> {
    let entries = node::list_of::<pg_sys::RangeTblEntry>(query.rtable);
    let position = entries.iter().position(|e| e.as_ptr() == entry.as_ptr())?;
    let position = i32::try_from(position + 1).ok()?;
    let _table = Relation::try_open(entry.relid, LockMode::AccessShare)?;
    let (mut seen, mut checked) = (std::ptr::null_mut(), std::ptr::null_mut());
    let (mut has_row_security, mut has_subqueries) = (false, false);
    // SAFETY: an entry of the query for a table that is open; the lists are made in the current memory
    // context.
    unsafe {
        pg_sys::get_row_security_policies(
            query.as_ptr(),
            entry.as_ptr(),
            position,
            &mut seen,
            &mut checked,
            &mut has_row_security,
            &mut has_subqueries,
        );
    }
    (!has_subqueries).then(|| node::list(seen))
}

/// What tells of changed attributes and memberships of roles, in place of relations.
pub const OF_ROLES: pg_sys::Oid = pg_sys::AuthIdRelationId;

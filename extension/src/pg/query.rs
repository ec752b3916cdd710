//! Analysed queries: from text, from a stored view, and made flat for reading.

use std::ffi::CString;

use pgrx::pg_sys;

use super::node::{self, Node, NodeOf};
use crate::error::{Error, Result};

/// The raw statements of a text. Syntax errors are reported by the server itself.
pub fn parse(text: &str) -> Result<Vec<NodeOf<pg_sys::RawStmt>>> {
    let text = c_string(text)?;
    // SAFETY: a NUL-terminated string; the result lives in the current memory context.
    let list = unsafe { pg_sys::pg_parse_query(text.as_ptr()) };
    Ok(node::list_of(list))
}

/// Analyses one raw statement without parameters. Views stay views.
pub fn analyse(raw: NodeOf<pg_sys::RawStmt>, text: &str) -> Result<NodeOf<pg_sys::Query>> {
    let source = c_string(text)?;
    // SAFETY: a raw statement of this text, no parameters, no query environment. The source text
    // is only used for error positions during the call.
    let query = unsafe {
        pg_sys::parse_analyze_fixedparams(
            raw.as_ptr(),
            source.as_ptr(),
            std::ptr::null(),
            0,
            std::ptr::null_mut(),
        )
    };
    query_node(query)
}

/// The query of a stored view, as a private copy whose relations are locked for reading.
pub fn of_view(view: pg_sys::Oid) -> Result<NodeOf<pg_sys::Query>> {
    // SAFETY: the relation is opened with a lock, read, copied from and closed; the lock stays
    // until the end of the transaction. The copy lives in the current memory context.
    unsafe {
        let relation = pg_sys::try_relation_open(view, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        if relation.is_null() {
            return Err(Error::Internal(format!(
                "view with OID {} does not exist",
                view.to_u32()
            )));
        }
        let is_view = (*(*relation).rd_rel).relkind as u8 == pg_sys::RELKIND_VIEW;
        let query = if is_view {
            let stored = pg_sys::get_view_query(relation);
            pg_sys::copyObjectImpl(stored.cast()).cast::<pg_sys::Query>()
        } else {
            std::ptr::null_mut()
        };
        pg_sys::relation_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        let copy = query_node(query)?;
        pg_sys::AcquireRewriteLocks(copy.as_ptr(), false, false);
        Ok(copy)
    }
}

/// An expression of a query with references to joins, to grouping columns and to virtual generated
/// columns replaced by what they stand for.
pub fn flatten(query: NodeOf<pg_sys::Query>, expr: Node) -> Node {
    // SAFETY: an expression of this query; both functions work on copies. Without a planner root
    // they keep no nulling information, which we do not need.
    unsafe {
        let mut flat = expr.as_ptr();
        if query.hasGroupRTE {
            flat = pg_sys::flatten_group_exprs(std::ptr::null_mut(), query.as_ptr(), flat);
        }
        flat = pg_sys::flatten_join_alias_vars(std::ptr::null_mut(), query.as_ptr(), flat);
        for (i, entry) in node::list_of::<pg_sys::RangeTblEntry>(query.rtable)
            .into_iter()
            .enumerate()
        {
            flat = expand_virtual(flat, &entry, i as i32 + 1);
        }
        Node::new(flat).unwrap_or(expr)
    }
}

/// The expression with the virtual generated columns of one table replaced by their expressions.
///
/// # Safety
/// `expr` belongs to a query whose range table has `entry` at `index`, and whose tables are locked.
unsafe fn expand_virtual(
    expr: *mut pg_sys::Node,
    entry: &pg_sys::RangeTblEntry,
    index: i32,
) -> *mut pg_sys::Node {
    let kind = entry.relkind as u8;
    if entry.rtekind != pg_sys::RTEKind::RTE_RELATION
        || (kind != pg_sys::RELKIND_RELATION && kind != pg_sys::RELKIND_PARTITIONED_TABLE)
    {
        return expr;
    }
    // SAFETY: the table is locked since the analysis of the query; it is open while it is read.
    unsafe {
        let no_lock = pg_sys::NoLock as pg_sys::LOCKMODE;
        let relation = pg_sys::relation_open(entry.relid, no_lock);
        let constraints = (*(*relation).rd_att).constr;
        let expanded = if !constraints.is_null() && (*constraints).has_generated_virtual {
            pg_sys::expand_generated_columns_in_expr(expr, relation, index)
        } else {
            expr
        };
        pg_sys::relation_close(relation, no_lock);
        expanded
    }
}

fn query_node(query: *mut pg_sys::Query) -> Result<NodeOf<pg_sys::Query>> {
    Node::new(query)
        .and_then(Node::cast)
        .ok_or_else(|| Error::Internal("the server returned no query".into()))
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Internal("a query contains a zero byte".into()))
}

/// An expression coerced as the server coerces the arms of a set operation.
pub fn coerce(
    expr: Node,
    (type_oid, collation): (pg_sys::Oid, pg_sys::Oid),
    context: &'static std::ffi::CStr,
) -> Node {
    let mut coerced = expr;
    // The collation that the printed coercion has when it is read back.
    let natural = match expr.collation() {
        pg_sys::InvalidOid => super::types::default_collation(type_oid),
        inherited => inherited,
    };
    if expr.type_oid() != type_oid {
        // SAFETY: a valid expression; no parse state is needed without parameters to resolve.
        let node = unsafe {
            pg_sys::coerce_to_common_type(
                std::ptr::null_mut(),
                expr.as_ptr(),
                type_oid,
                context.as_ptr(),
            )
        };
        coerced = Node::new(node).unwrap_or(expr);
        coerced.set_collation(if super::types::is_collatable(type_oid) {
            natural
        } else {
            pg_sys::InvalidOid
        });
    }
    if coerced.collation() != collation && collation != pg_sys::InvalidOid {
        coerced = super::make_node::make_collate(coerced, collation).unwrap_or(coerced);
    }
    coerced
}

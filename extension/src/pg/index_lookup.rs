//! Finding the index that serves a key look-up, by what it is over rather than by its name.

use pgrx::pg_sys;

use super::name::c_string;
use super::relation::Relation;
use crate::error::Result;

/// A function of SQL takes at most this many arguments.
pub const HASHED_COLUMNS_MAX: usize = 100;

/// What an index is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The hash of the columns' image.
    Image,
    /// The columns in this order. No two rows have the same values, NULLs included.
    Key,
    /// The columns in this order.
    Values,
}

/// A usable index of `table` over these columns (positions from 0).
pub fn find(table: pg_sys::Oid, columns: &[usize], over: Over) -> Result<Option<pg_sys::Oid>> {
    let table = Relation::open(table, pg_sys::AccessShareLock as i32)?;
    for oid in table.indexes() {
        let Some(index) = Relation::try_open(oid, pg_sys::AccessShareLock as i32) else {
            continue;
        };
        if is_over(&index, columns, over)? {
            return Ok(Some(oid));
        }
    }
    Ok(None)
}

fn is_over(index: &Relation, columns: &[usize], over: Over) -> Result<bool> {
    // SAFETY: an open index has its pg_index row.
    let form = unsafe { &*(*index.as_ptr()).rd_index };
    if !form.indisvalid || !form.indisready || !form.indislive {
        return Ok(false);
    }
    // SAFETY: the access method's OID is part of the relation's row.
    if unsafe { (*(*index.as_ptr()).rd_rel).relam } != pg_sys::BTREE_AM_OID {
        return Ok(false);
    }
    // SAFETY: the predicate is read from the relation's cache entry.
    if !unsafe { pg_sys::RelationGetIndexPredicate(index.as_ptr()) }.is_null() {
        return Ok(false);
    }
    let wanted: Vec<i16> = columns
        .iter()
        .map(|c| i16::try_from(c + 1).unwrap_or(0))
        .collect();
    if over == Over::Image {
        is_image_hash(index, wanted.get(..HASHED_COLUMNS_MAX).unwrap_or(&wanted))
    } else {
        let keys = form.indnkeyatts as usize;
        // SAFETY: indkey has indnatts elements, at least indnkeyatts.
        let attnums = unsafe { form.indkey.values.as_slice(keys) };
        let is_key = form.indisunique && form.indnullsnotdistinct;
        Ok(attnums == wanted && (is_key || over == Over::Values))
    }
}

/// Whether the index is over `pgtrickle.row_image_hash` of exactly these columns.
fn is_image_hash(index: &Relation, attnums: &[i16]) -> Result<bool> {
    let name = c_string("row_image_hash")?;
    // SAFETY: the expression list and its nodes are copies that the server made; each node's tag is
    // checked before it is read as that node.
    unsafe {
        let expressions = pg_sys::RelationGetIndexExpressions(index.as_ptr());
        if pg_sys::list_length(expressions) != 1 {
            return Ok(false);
        }
        let node = pg_sys::list_nth(expressions, 0) as *mut pg_sys::Node;
        if (*node).type_ != pg_sys::NodeTag::T_FuncExpr {
            return Ok(false);
        }
        let call = node as *mut pg_sys::FuncExpr;
        let called = pg_sys::get_func_name((*call).funcid);
        if called.is_null() || std::ffi::CStr::from_ptr(called) != name.as_c_str() {
            return Ok(false);
        }
        let count = pg_sys::list_length((*call).args);
        let mut found = Vec::with_capacity(count as usize);
        for position in 0..count {
            let argument = pg_sys::list_nth((*call).args, position) as *mut pg_sys::Node;
            if (*argument).type_ != pg_sys::NodeTag::T_Var {
                return Ok(false);
            }
            found.push((*(argument as *mut pg_sys::Var)).varattno);
        }
        Ok(found == attnums)
    }
}

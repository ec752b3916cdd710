//! Finding the index for a key look-up, by its columns rather than by its name.

use pgrx::pg_sys;

use super::lock_mode::LockMode;
use super::name::c_string;
use super::relation::Relation;
use super::tupdesc::attributes;
use super::types;
use crate::error::Result;

/// A function of SQL takes at most this many arguments.
pub const HASHED_COLUMNS_MAX: usize = 100;

/// What an index is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The hash of the columns' image.
    Image,
    /// The server's hash of a row of the columns, which is the same for equal values: for those of
    /// them that the server can hash.
    Equality,
    /// The columns in this order. No two rows have the same values, NULLs included.
    Key,
    /// The columns in this order.
    Values,
}

/// The columns, of these, whose image is hashed: of very wide rows the first ones.
pub fn image_columns(columns: &[usize]) -> &[usize] {
    columns.get(..HASHED_COLUMNS_MAX).unwrap_or(columns)
}

/// The columns, of these, that the server can hash by their equality.
pub fn equality_columns(table: &Relation, columns: &[usize]) -> Vec<usize> {
    let all = attributes(table.tuple_desc());
    let can_hash = |at: &usize| {
        let column = all.get(*at);
        column.is_some_and(|column| types::is_hashable(column.atttypid))
    };
    columns.iter().copied().filter(can_hash).collect()
}

/// What an index over these columns can be over: their values where the server can hash none of them, or where these
/// take no more room than a hash or two, and are the same exactly if they look alike. They come in an order, at times the
/// table's, so that neighbours are entered on the same page; and no function has to be called.
pub fn settled(table: pg_sys::Oid, columns: &[usize], over: Over) -> Result<Over> {
    let table = Relation::open(table, LockMode::AccessShare)?;
    let serve = match over {
        Over::Image => are_numbers(&table, columns),
        Over::Equality => equality_columns(&table, columns).is_empty(),
        Over::Key | Over::Values => false,
    };
    Ok(if serve { Over::Values } else { over })
}

/// How many numbers are indexed rather than their hash.
const NUMBERS_MAX: usize = 3;

/// Whether the columns are a few of types that are compared as the numbers that they are.
fn are_numbers(table: &Relation, columns: &[usize]) -> bool {
    let all = attributes(table.tuple_desc());
    let is_number = |at: &usize| {
        let ty = all.get(*at).map(|column| column.atttypid);
        ty.is_some_and(|ty| NUMBERS.contains(&ty))
    };
    columns.len() <= NUMBERS_MAX && columns.iter().all(is_number)
}

const NUMBERS: &[pg_sys::Oid] = &[
    pg_sys::BOOLOID,
    pg_sys::INT2OID,
    pg_sys::INT4OID,
    pg_sys::INT8OID,
    pg_sys::OIDOID,
    pg_sys::DATEOID,
    pg_sys::TIMEOID,
    pg_sys::TIMESTAMPOID,
    pg_sys::TIMESTAMPTZOID,
];

/// The index by which these columns are looked up, and what it is over: as it would be made now, or as it was asked for.
pub fn find_settled(
    table: pg_sys::Oid,
    columns: &[usize],
    over: Over,
) -> Result<Option<(pg_sys::Oid, Over)>> {
    let settled = settled(table, columns, over)?;
    if let Some(index) = find(table, columns, settled)? {
        return Ok(Some((index, settled)));
    }
    let asked = match settled == over {
        true => None,
        false => find(table, columns, over)?,
    };
    Ok(asked.map(|index| (index, over)))
}

/// A usable index of `table` over these columns (positions from 0).
pub fn find(table: pg_sys::Oid, columns: &[usize], over: Over) -> Result<Option<pg_sys::Oid>> {
    let table = Relation::open(table, LockMode::AccessShare)?;
    for oid in table.indexes() {
        let Some(index) = Relation::try_open(oid, LockMode::AccessShare) else {
            continue;
        };
        if is_over(&table, &index, columns, over)? {
            return Ok(Some(oid));
        }
    }
    Ok(None)
}

/// Whether this index of `table` is one of those that [`find_settled`] looks for.
pub fn serves(
    table: pg_sys::Oid,
    index: pg_sys::Oid,
    columns: &[usize],
    over: Over,
) -> Result<bool> {
    let settled = settled(table, columns, over)?;
    let table = Relation::open(table, LockMode::AccessShare)?;
    let index = Relation::open(index, LockMode::AccessShare)?;
    Ok(is_over(&table, &index, columns, settled)? || is_over(&table, &index, columns, over)?)
}

/// Whether an index lets no two rows have the same key.
pub fn is_unique(index: pg_sys::Oid) -> Result<bool> {
    let index = Relation::open(index, LockMode::AccessShare)?;
    // SAFETY: an open index has its pg_index row.
    Ok(unsafe { (*(*index.as_ptr()).rd_index).indisunique })
}

fn is_over(table: &Relation, index: &Relation, columns: &[usize], over: Over) -> Result<bool> {
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
    match over {
        Over::Image => is_hash(index, "row_image_hash", &attnums(image_columns(columns))),
        Over::Equality => {
            let hashed = equality_columns(table, columns);
            is_hash(index, "hash_record_extended", &attnums(&hashed))
        }
        Over::Key | Over::Values => {
            let keys = form.indnkeyatts as usize;
            // SAFETY: indkey has indnatts elements, at least indnkeyatts.
            let indexed = unsafe { form.indkey.values.as_slice(keys) };
            let is_key = form.indisunique && form.indnullsnotdistinct;
            Ok(indexed == attnums(columns) && (is_key || over == Over::Values))
        }
    }
}

/// The numbers of the columns at these positions.
fn attnums(columns: &[usize]) -> Vec<i16> {
    let attnum = |at: &usize| i16::try_from(at + 1).unwrap_or(0);
    columns.iter().map(attnum).collect()
}

/// Whether the index is over this function of exactly these columns, or of a row of them.
fn is_hash(index: &Relation, function: &str, attnums: &[i16]) -> Result<bool> {
    let name = c_string(function)?;
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
        let mut arguments = (*call).args;
        let first = pg_sys::list_nth(arguments, 0) as *mut pg_sys::Node;
        if (*first).type_ == pg_sys::NodeTag::T_RowExpr {
            arguments = (*(first as *mut pg_sys::RowExpr)).args;
        }
        let count = pg_sys::list_length(arguments);
        let mut found = Vec::with_capacity(count as usize);
        for position in 0..count {
            let argument = pg_sys::list_nth(arguments, position) as *mut pg_sys::Node;
            if (*argument).type_ != pg_sys::NodeTag::T_Var {
                return Ok(false);
            }
            found.push((*(argument as *mut pg_sys::Var)).varattno);
        }
        Ok(found == attnums)
    }
}

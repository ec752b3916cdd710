//! Rewrites queries over Citus tables to read the shards on this node.
//!
//! A shard has the columns of its table by name. It also has their numbers, unless columns were dropped before it
//! was made: then a subquery in between gives each column the number that the query uses.

use pgrx::{PgList, pg_sys};

use super::name::c_string;
use super::node::{self, NodeOf, Walk};
use super::query;
use super::table::TableFacts;
use crate::error::{Error, Result};

/// Which relation is to be read in the place of a table; `None` leaves it.
pub type Place<'a> = &'a dyn Fn(pg_sys::Oid) -> Result<Option<pg_sys::Oid>>;

/// Puts other relations in the place of tables that a query reads, in place, and returns these tables. It does not
/// look into views.
pub fn replace(query: NodeOf<pg_sys::Query>, place: Place<'_>) -> Result<Vec<pg_sys::Oid>> {
    let mut replaced = Vec::new();
    each_entry(query, &mut |query, entry| {
        if let Some(relation) = place(entry.relid)? {
            replaced.push(entry.relid);
            read_instead(query, entry, relation)?;
        }
        Ok(())
    })?;
    Ok(replaced)
}

/// Writes the queries of views that read such tables into a query, in place of their names. Returns whether it reads
/// any such table.
pub fn expand_views(
    query: NodeOf<pg_sys::Query>,
    is_wanted: &dyn Fn(pg_sys::Oid) -> bool,
) -> Result<bool> {
    let mut found = false;
    each_entry(query, &mut |_, entry| {
        if entry.relkind as u8 != pg_sys::RELKIND_VIEW {
            found |= is_wanted(entry.relid);
            return Ok(());
        }
        let inner = query::of_view(entry.relid)?;
        if expand_views(inner, is_wanted)? {
            found = true;
            stand_for(entry, inner);
        }
        Ok(())
    })?;
    Ok(found)
}

/// A query and an entry of its range table.
type Visit<'a> = dyn FnMut(NodeOf<pg_sys::Query>, NodeOf<pg_sys::RangeTblEntry>) -> Result<()> + 'a;

/// Visits the relations that a query names, in its subqueries, too.
fn each_entry(query: NodeOf<pg_sys::Query>, visit: &mut Visit<'_>) -> Result<()> {
    node::check_stack_depth();
    let (mut entries, mut inner) = (Vec::new(), Vec::new());
    node::walk_query(query, &mut |found| {
        if let Some(entry) = found.cast::<pg_sys::RangeTblEntry>() {
            entries.push(entry);
            return Walk::Skip;
        }
        if let Some(subquery) = found.cast::<pg_sys::Query>() {
            inner.push(subquery);
            return Walk::Skip;
        }
        Walk::Descend
    });
    inner
        .into_iter()
        .try_for_each(|query| each_entry(query, visit))?;
    entries
        .into_iter()
        .filter(|entry| entry.rtekind == pg_sys::RTEKind::RTE_RELATION)
        .try_for_each(|entry| visit(query, entry))
}

/// Has an entry read another relation with columns of the same names.
fn read_instead(
    query: NodeOf<pg_sys::Query>,
    entry: NodeOf<pg_sys::RangeTblEntry>,
    relation: pg_sys::Oid,
) -> Result<()> {
    let table = TableFacts::load(entry.relid).ok_or(Error::RelationVanished(entry.relid))?;
    let shard = TableFacts::load(relation).ok_or(Error::RelationVanished(relation))?;
    let known = |facts: &TableFacts| {
        let columns = facts.attributes.iter();
        columns
            .map(|column| (column.attnum, column.name.clone()))
            .collect::<Vec<_>>()
    };
    if known(&table) == known(&shard) {
        let permissions = node::list_of::<pg_sys::RTEPermissionInfo>(query.rteperminfos);
        let of_entry = (entry.perminfoindex as usize).checked_sub(1);
        let permission = of_entry.and_then(|at| permissions.get(at));
        // SAFETY: nodes of a query of our own.
        unsafe {
            (*entry.as_ptr()).relid = relation;
            if let Some(permission) = permission {
                (*permission.as_ptr()).relid = relation;
            }
        }
        return Ok(());
    }
    let width = table.attributes.iter().map(|column| column.attnum).max();
    let names: Vec<String> = (1..=width.unwrap_or(0))
        .map(|attnum| match table.attribute(attnum) {
            Some(column) => column.name.clone(),
            None => format!("........{attnum}"),
        })
        .collect();
    let columns = (1..=width.unwrap_or(0)).zip(&names).map(|(attnum, name)| {
        let name = super::name::quote(name);
        match table.attribute(attnum) {
            Some(_) => name,
            None => format!("NULL::pg_catalog.int4 AS {name}"),
        }
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let text = format!("SELECT {columns} FROM {}", shard.qualified);
    let raw = query::parse(&text)?;
    let [raw] = raw.as_slice() else {
        return Err(Error::Internal(format!("{text} is not one statement")));
    };
    stand_for(entry, query::analyse(*raw, &text)?);
    let mut strings = PgList::<pg_sys::Node>::new();
    for name in &names {
        let name = c_string(name)?;
        // SAFETY: the string is copied into the current memory context, where the query is.
        strings.push(unsafe { pg_sys::makeString(pg_sys::pstrdup(name.as_ptr())) }.cast());
    }
    // SAFETY: nodes of a query of our own. A dropped column has no name in it, which a subquery's cannot be.
    unsafe { (*(*entry.as_ptr()).eref).colnames = strings.into_pg() };
    Ok(())
}

/// Makes a subquery of an entry, as the server does with a view.
fn stand_for(entry: NodeOf<pg_sys::RangeTblEntry>, subquery: NodeOf<pg_sys::Query>) {
    // SAFETY: nodes of a query of our own.
    unsafe {
        let entry = &mut *entry.as_ptr();
        entry.rtekind = pg_sys::RTEKind::RTE_SUBQUERY;
        entry.subquery = subquery.as_ptr();
        entry.relid = pg_sys::InvalidOid;
        entry.relkind = 0;
        entry.rellockmode = 0;
        entry.perminfoindex = 0;
        entry.inh = false;
        if entry.alias.is_null() {
            entry.alias = pg_sys::makeAlias((*entry.eref).aliasname, std::ptr::null_mut());
        }
    }
}

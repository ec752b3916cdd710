//! Where the changes of a table go: the buffers of the sources that it belongs to, and for each
//! buffer column the table's column, whose number may differ in a partition.
//!
//! Targets are cached per session; an invalidation of the buffer, the table or one above it drops them.

use super::belonging::{sources_by_rows, sources_of, tells_by_rows};
use super::buffer;
use crate::error::Result;
use crate::pg::change_insert::{Pick, Picked};
use crate::pg::depend::belongs_to;
use crate::pg::inherit;
use crate::pg::invalidation;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::tupdesc::{attribute_name, attributes};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The way from a table's rows to a buffer's.
#[derive(Debug)]
pub struct Target {
    /// The buffer.
    pub buffer: pg_sys::Oid,
    /// For each buffer column from [`buffer::FIRST_COLUMN`] on, where it comes from.
    pub columns: Picked,
    /// How many leading columns of the table's row are needed.
    pub width: usize,
    /// A column has another type than in the buffer: its values cannot be stored there, all that
    /// can be said of a change is that the consumers must recompute.
    pub is_outdated: bool,
    /// What it depends on: the buffer, the table and all above it.
    relations: Vec<pg_sys::Oid>,
    generation: u64,
}

impl Target {
    fn is_old(&self) -> bool {
        invalidation::any_since(self.generation, &self.relations)
    }
}

thread_local! {
    static CACHE: RefCell<HashMap<u32, Rc<Target>>> = RefCell::default();
    static BY_ROWS: RefCell<HashMap<u32, Rc<[Target]>>> = RefCell::default();
}

/// Where changes of `table` captured by statements go: its root's buffer; `None` if they are not captured that way.
/// `desc` is the table's row type.
pub fn of(table: pg_sys::Oid, desc: pg_sys::TupleDesc) -> Result<Option<Rc<Target>>> {
    let key = table.to_u32();
    if let Some(target) = CACHE.with_borrow(|cache| cache.get(&key).cloned()) {
        if !target.is_old() {
            return Ok(Some(target));
        }
        CACHE.with_borrow_mut(|cache| cache.remove(&key));
    }
    let root = inherit::root(table);
    if tells_by_rows(root) {
        return Ok(None);
    }
    let target = towards(root, table, desc)?.map(Rc::new);
    if let Some(target) = &target {
        CACHE.with_borrow_mut(|cache| cache.insert(key, Rc::clone(target)));
    }
    Ok(target)
}

/// Where changes of `table` captured by row triggers go: to each captured source with such triggers.
pub fn by_rows(table: pg_sys::Oid, desc: pg_sys::TupleDesc) -> Result<Rc<[Target]>> {
    let key = table.to_u32();
    if let Some(targets) = BY_ROWS.with_borrow(|cache| cache.get(&key).cloned()) {
        if !targets.is_empty() && !targets.iter().any(Target::is_old) {
            return Ok(targets);
        }
        BY_ROWS.with_borrow_mut(|cache| cache.remove(&key));
    }
    let mut targets = Vec::new();
    for source in sources_by_rows(table)? {
        targets.extend(towards(source, table, desc)?);
    }
    let targets: Rc<[Target]> = targets.into();
    BY_ROWS.with_borrow_mut(|cache| cache.insert(key, Rc::clone(&targets)));
    Ok(targets)
}

/// Where it has to be said that all of `table` may have changed.
pub fn all(table: pg_sys::Oid) -> Result<Vec<Target>> {
    let relation = Relation::open(table, LockMode::AccessShare)?;
    let mut targets = Vec::new();
    for source in sources_of(table)? {
        targets.extend(towards(source, table, relation.tuple_desc())?);
    }
    Ok(targets)
}

/// The way from a table to the buffer of a source that has its rows; `None` if the source is not captured.
pub fn towards(
    source: pg_sys::Oid,
    table: pg_sys::Oid,
    desc: pg_sys::TupleDesc,
) -> Result<Option<Target>> {
    let generation = invalidation::generation();
    let Some(found) = buffer::find(source)? else {
        return Ok(None);
    };
    // A buffer that came with a dump may bear the number of a table that it never belonged to.
    if !belongs_to(found, source) {
        return Ok(None);
    }
    let buffer = Relation::open(found, LockMode::RowExclusive)?;
    let source = Relation::open(source, LockMode::AccessShare)?;
    let (of_buffer, of_source, of_table) = (
        attributes(buffer.tuple_desc()),
        attributes(source.tuple_desc()),
        attributes(desc),
    );
    let mut columns = vec![Pick::Null; of_buffer.len().saturating_sub(buffer::FIRST_COLUMN)];
    let mut is_outdated = false;
    for (position, attnum) in buffer::columns(&buffer) {
        let Some(column) = columns.get_mut(position - buffer::FIRST_COLUMN) else {
            continue;
        };
        if attnum == buffer::TABLE {
            *column = Pick::Constant(pg_sys::Datum::from(table));
            continue;
        }
        let in_source = usize::try_from(attnum - 1)
            .ok()
            .and_then(|at| of_source.get(at))
            .filter(|a| !a.attisdropped);
        let in_table = in_source.and_then(|wanted| {
            let name = attribute_name(wanted);
            of_table
                .iter()
                .position(|a| !a.attisdropped && attribute_name(a) == name)
        });
        if let (Some(stored), Some(given)) = (
            of_buffer.get(position),
            in_table.and_then(|at| of_table.get(at)),
        ) {
            is_outdated |= stored.atttypid != given.atttypid;
        }
        *column = in_table.map_or(Pick::Null, Pick::At);
    }
    let mut relations = inherit::lineage(table);
    relations.push(found);
    let positions = columns.iter().copied().filter_map(Pick::position);
    let width = positions.max().map_or(0, |last| last + 1);
    Ok(Some(Target {
        buffer: found,
        columns: columns.into(),
        width,
        is_outdated,
        relations,
        generation,
    }))
}

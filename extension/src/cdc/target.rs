//! Where the changes of a table go: the buffer of the source that it belongs to, and for each
//! buffer column the table's own column, which in a partition may stand elsewhere.
//!
//! Targets are cached per session; a notice of a change to the table or to the buffer drops them.

use super::buffer;
use crate::error::Result;
use crate::pg::change_insert::Picked;
use crate::pg::depend::belongs_to;
use crate::pg::inherit;
use crate::pg::invalidation;
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
    /// For each buffer column from [`buffer::FIRST_COLUMN`] on, the position in the table's row.
    pub columns: Picked,
    /// How many leading columns of the table's row are needed.
    pub width: usize,
    /// A column has another type than in the buffer: its values cannot be stored there, all that
    /// can be said of a change is that the consumers must recompute.
    pub is_outdated: bool,
    generation: u64,
}

thread_local! {
    static CACHE: RefCell<HashMap<u32, Rc<Target>>> = RefCell::default();
}

/// Where changes of `table` go; `None` if they are not captured. `desc` is the table's row type.
pub fn of(table: pg_sys::Oid, desc: pg_sys::TupleDesc) -> Result<Option<Rc<Target>>> {
    let key = table.to_u32();
    if let Some(target) = CACHE.with_borrow(|cache| cache.get(&key).cloned()) {
        if !invalidation::any_since(target.generation, &[table, target.buffer]) {
            return Ok(Some(target));
        }
        CACHE.with_borrow_mut(|cache| cache.remove(&key));
    }
    let target = resolve(table, desc)?.map(Rc::new);
    if let Some(target) = &target {
        CACHE.with_borrow_mut(|cache| cache.insert(key, Rc::clone(target)));
    }
    Ok(target)
}

fn resolve(table: pg_sys::Oid, desc: pg_sys::TupleDesc) -> Result<Option<Target>> {
    let generation = invalidation::generation();
    let root = inherit::root(table);
    let Some(found) = buffer::find(root)? else {
        return Ok(None);
    };
    // A buffer that came with a dump may bear the number of a table that it never belonged to.
    if !belongs_to(found, root) {
        return Ok(None);
    }
    let buffer = Relation::open(found, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE)?;
    let source = Relation::open(root, pg_sys::AccessShareLock as pg_sys::LOCKMODE)?;
    let (of_buffer, of_source, of_table) = (
        attributes(buffer.tuple_desc()),
        attributes(source.tuple_desc()),
        attributes(desc),
    );
    let mut columns = vec![None; of_buffer.len().saturating_sub(buffer::FIRST_COLUMN)];
    let mut is_outdated = false;
    for (position, attnum) in buffer::columns(&buffer) {
        let in_source = of_source
            .get(attnum as usize - 1)
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
        if let Some(column) = columns.get_mut(position - buffer::FIRST_COLUMN) {
            *column = in_table;
        }
    }
    let width = columns.iter().flatten().max().map_or(0, |last| last + 1);
    Ok(Some(Target {
        buffer: found,
        columns: columns.into(),
        width,
        is_outdated,
        generation,
    }))
}

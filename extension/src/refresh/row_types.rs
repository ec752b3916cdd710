//! Row types of the ephemeral relations that a refresh makes from others.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::memory::MemoryContext;
use crate::pg::tupdesc::{Column, OwnTupleDesc, attribute_name, attributes};

/// Which rows of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rows {
    /// Groups' deltas beside their old state.
    Groups,
    /// Keys of groups to compute again.
    Touched,
}

/// The row types of a plan's nodes, which are the same in every refresh.
#[derive(Debug, Default)]
pub struct RowTypes {
    made: RefCell<HashMap<(usize, Rows), OwnTupleDesc>>,
    /// Where they are, dropped after them.
    context: OnceCell<MemoryContext>,
}

impl RowTypes {
    /// The type of these rows of the node, made of these columns the first time.
    pub fn get(
        &self,
        node: usize,
        rows: Rows,
        columns: impl FnOnce() -> Vec<Column>,
    ) -> Result<OwnTupleDesc> {
        if let Some(known) = self.made.borrow().get(&(node, rows)) {
            return Ok(*known);
        }
        let context = self
            .context
            .get_or_init(|| MemoryContext::lasting(c"pg_trickle row types"));
        let made = OwnTupleDesc::build(context.as_ptr(), &columns())?;
        self.made.borrow_mut().insert((node, rows), made);
        Ok(made)
    }
}

/// Columns of an existing row type under new names.
pub fn columns_of(
    desc: pg_sys::TupleDesc,
    range: Range<usize>,
    rename: impl Fn(usize, &str) -> String,
) -> Vec<Column> {
    attributes(desc)
        .iter()
        .skip(range.start)
        .take(range.len())
        .enumerate()
        .map(|(position, attribute)| Column {
            name: rename(position, &attribute_name(attribute).to_string_lossy()),
            type_oid: attribute.atttypid,
            typmod: attribute.atttypmod,
            collation: attribute.attcollation,
        })
        .collect()
}

/// A column of a type without modifier and collation.
pub fn plain(name: &str, type_oid: pg_sys::Oid) -> Column {
    Column {
        name: name.to_owned(),
        type_oid,
        typmod: -1,
        collation: pg_sys::InvalidOid,
    }
}

/// The number of columns of a row type.
pub fn width(desc: pg_sys::TupleDesc) -> usize {
    attributes(desc).len()
}

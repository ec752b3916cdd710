//! How rows of a table are found.

use pgrx::pg_sys;

use crate::error::{Error, Result};
use crate::pg::index_lookup::{self, Over};

use super::state_names::shown_name;

/// How rows are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// There is at most one row.
    Single,
    /// Through an index over these column positions (from 0).
    Index {
        /// The index.
        index: pg_sys::Oid,
        /// Key positions in the table, in key order.
        columns: Vec<usize>,
        /// What the index is over.
        over: Over,
    },
}

impl Lookup {
    /// By an index over the values of these columns; the only row if there are none.
    pub fn by(table: pg_sys::Oid, columns: &[usize], over: Over) -> Result<Lookup> {
        if columns.is_empty() {
            return Ok(Lookup::Single);
        }
        let Some((index, over)) = index_lookup::find_settled(table, columns, over)? else {
            return Err(Error::IndexMissing(shown_name(table)?));
        };
        Ok(Lookup::Index {
            index,
            columns: columns.to_vec(),
            over,
        })
    }
}

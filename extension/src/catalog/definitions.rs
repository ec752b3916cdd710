//! Notifying every session, at commit, that the definition of a stream table has changed: as a relation cache
//! invalidation, which needs no shared memory and also reaches the current transaction.

use std::cell::RefCell;
use std::thread::LocalKey;

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::catalog_table::{CatalogTable, relid};
use crate::pg::invalidation;
use crate::shmem::notes;

/// The table that stands for all definitions.
const TABLE: &str = "pgt_dependencies";

/// A stream table was made, is about to be changed or dropped, or reads other tables. Said before it is
/// written, since what is written becomes visible to the command that follows together with the notice.
pub fn note_change(pgt_id: i64) -> Result<()> {
    notes::changed(pgt_id);
    CatalogTable::open(TABLE)?.announce();
    Ok(())
}

/// A state of all definitions, as this session knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definitions {
    table: pg_sys::Oid,
    generation: u64,
}

/// What a session knows of definitions, and of which state of them.
pub type Known<T> = RefCell<(Option<Definitions>, T)>;

/// Forgets what is known of another state than the current one.
pub fn renew<T: Default>(known: &'static LocalKey<Known<T>>) -> Result<()> {
    let is_current = match known.with_borrow(|(of, _)| *of) {
        Some(definitions) => definitions.are_current()?,
        None => false,
    };
    if !is_current {
        known.set((Some(Definitions::present()?), T::default()));
    }
    Ok(())
}

impl Definitions {
    /// The present one.
    pub fn present() -> Result<Self> {
        let generation = invalidation::generation();
        let table = relid(TABLE)?;
        Ok(Definitions { table, generation })
    }

    /// Whether it is still the current one.
    pub fn are_current(self) -> Result<bool> {
        Ok(relid(TABLE)? == self.table && !invalidation::any_since(self.generation, &[self.table]))
    }
}

//! Recording the changes of a stream table for its readers: into its buffer for refreshes, and
//! in memory for IMMEDIATE ones. Readers in FULL mode need no rows; the scheduler is notified.

use std::collections::BTreeSet;

use pgrx::pg_sys;

use super::graph::{self, Readers};
use super::running::{self, Begun};
use crate::cdc::{BufferWriter, TransientWriter};
use crate::error::Result;
use crate::pg::slot::Slot;
use crate::shmem::notes;

/// The recorder of one stream table's changes.
#[derive(Debug)]
pub struct Recorder {
    buffer: Option<BufferWriter>,
    followed: Option<Followed>,
    /// The table, if stream tables in FULL mode read it.
    told: Option<pg_sys::Oid>,
}

#[derive(Debug)]
struct Followed {
    table: pg_sys::Oid,
    readers: BTreeSet<i64>,
    writer: TransientWriter,
    /// Until the changes are handed over, readers wait: the table shows them already.
    begun: Begun,
}

impl Recorder {
    /// The recorder; `None` if nothing reads the stream table, whose rows have the type `desc`.
    pub fn open(table: pg_sys::Oid, desc: pg_sys::TupleDesc) -> Result<Option<Self>> {
        let buffer = graph::buffer_of(table)?;
        let readers = graph::readers_of(table)?;
        let followed = Followed::open(table, &readers, desc)?;
        let told = readers.any_full.then_some(table);
        let is_read = buffer.is_some() || followed.is_some() || told.is_some();
        Ok(is_read.then_some(Recorder {
            buffer,
            followed,
            told,
        }))
    }

    /// Records a change of the row in `slot`.
    pub fn push(&mut self, slot: &mut Slot, weight: i32) -> Result<()> {
        if let Some(table) = self.told.take() {
            notes::dirty(table);
        }
        if let Some(followed) = &mut self.followed {
            followed.writer.push(slot.row(), weight);
        }
        match &mut self.buffer {
            Some(buffer) => buffer.push(slot, weight),
            None => Ok(()),
        }
    }

    /// Hands over what was recorded.
    pub fn finish(self) -> Result<()> {
        if let Some(followed) = self.followed {
            drop(followed.begun);
            if let Some(changes) = followed.writer.finish() {
                running::keep(followed.table, followed.readers, changes);
            }
        }
        match self.buffer {
            Some(buffer) => buffer.finish(),
            None => Ok(()),
        }
    }
}

impl Followed {
    fn open(
        table: pg_sys::Oid,
        readers: &Readers,
        desc: pg_sys::TupleDesc,
    ) -> Result<Option<Self>> {
        if readers.following.is_empty() {
            return Ok(None);
        }
        Ok(Some(Followed {
            table,
            readers: readers.following.clone(),
            writer: TransientWriter::new(table, &readers.columns, desc)?,
            begun: Begun::new(table),
        }))
    }
}

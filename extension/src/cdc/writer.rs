//! Writing change rows: transaction, epoch, weight, and the captured columns.

use super::marker::Marker;
use super::target::{self, Target};
use crate::error::Result;
use crate::frontier::{epoch, top_xid};

use crate::pg::change_insert::ChangeInsert;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::row::Row;
use crate::pg::slot::Slot;
use crate::shmem::notes;
use pgrx::pg_sys;
use pgtrickle_dvm::weight::Weight;

/// Opens the target's buffer, for changes of the current transaction and epoch.
pub fn open(target: &Target) -> Result<ChangeInsert> {
    notes::dirty(target.buffer);
    let buffer = Relation::open(target.buffer, LockMode::RowExclusive)?;
    let leading = [
        pg_sys::Datum::from(top_xid().cast_signed()),
        pg_sys::Datum::from(epoch::of_change(target.buffer)),
    ];
    ChangeInsert::begin(buffer, leading, target.columns.clone())
}

/// Writes a row that tells the consumers to recompute.
pub fn push_recompute(target: &Target, why: Marker) -> Result<()> {
    let mut insert = open(target)?;
    insert.push(Row::EMPTY, why.weight());
    insert.finish();
    Ok(())
}

/// Changes of a stream table that is itself a source. The refresh writes them as it applies them,
/// since no triggers run then.
#[derive(Debug)]
pub struct BufferWriter {
    writer: ChangeInsert,
    width: usize,
    is_outdated: bool,
    marked: bool,
}

impl BufferWriter {
    /// The writer for a stream table's changes; `None` if nothing reads them.
    pub fn open(stream_table: pg_sys::Oid) -> Result<Option<Self>> {
        let table = Relation::open(stream_table, LockMode::AccessShare)?;
        let Some(target) = target::of(stream_table, table.tuple_desc())? else {
            return Ok(None);
        };
        Ok(Some(BufferWriter {
            width: target.width,
            is_outdated: target.is_outdated,
            marked: false,
            writer: open(&target)?,
        }))
    }

    /// Writes a change of the row in `slot`, which has the stream table's row type.
    pub fn push(&mut self, slot: &mut Slot, weight: i32) -> Result<()> {
        if self.is_outdated {
            self.push_recompute(Marker::Rewritten);
            return Ok(());
        }
        let row = slot.row();
        let row = row.part(0, self.width).unwrap_or(row);
        for part in Weight::from(weight).parts() {
            self.writer.push(row, part);
        }
        Ok(())
    }

    /// Tells the readers to recompute, once.
    pub fn push_recompute(&mut self, why: Marker) {
        if !self.marked {
            self.marked = true;
            self.writer.push(Row::EMPTY, why.weight());
        }
    }

    /// Writes what is left.
    pub fn finish(self) -> Result<()> {
        self.writer.finish();
        Ok(())
    }
}

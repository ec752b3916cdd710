//! Writing change rows: whose, when, how often, and the captured columns.

use super::buffer::{EPOCH, FIRST_COLUMN, WEIGHT, XID};
use super::target::{self, Target};
use crate::error::Result;
use crate::frontier::{epoch, top_xid};
use crate::pg::multi_insert::MultiInsert;
use crate::pg::relation::Relation;
use crate::pg::slot::Slot;
use crate::shmem::notes;
use pgrx::pg_sys;
use std::rc::Rc;

/// A writer of change rows of one table to one buffer, all of the current transaction and epoch.
#[derive(Debug)]
pub struct ChangeWriter {
    target: Rc<Target>,
    insert: MultiInsert,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl ChangeWriter {
    /// Opens the target's buffer.
    pub fn open(target: Rc<Target>) -> Result<Self> {
        notes::dirty(target.buffer);
        let buffer = Relation::open(target.buffer, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE)?;
        let xid = pg_sys::Datum::from(top_xid().cast_signed());
        let width = FIRST_COLUMN + target.columns.len();
        let mut values = vec![pg_sys::Datum::from(0); width];
        let mut nulls = vec![true; width];
        for (position, value) in [
            (XID, xid),
            (EPOCH, pg_sys::Datum::from(epoch::current())),
            (WEIGHT, pg_sys::Datum::from(0)),
        ] {
            if let (Some(slot), Some(null)) = (values.get_mut(position), nulls.get_mut(position)) {
                *slot = value;
                *null = false;
            }
        }
        Ok(ChangeWriter {
            target,
            insert: MultiInsert::begin(buffer, xid)?,
            values,
            nulls,
        })
    }

    /// Writes a change of the row whose leading columns are given.
    pub fn push(&mut self, values: &[pg_sys::Datum], nulls: &[bool], weight: i32) {
        self.fill(values, nulls, weight);
        self.insert.push(&self.values, &self.nulls);
    }

    /// Like [`ChangeWriter::push`], for loops with a guard around them.
    ///
    /// # Safety
    /// As of [`MultiInsert::push_unguarded`].
    #[inline]
    pub unsafe fn push_unguarded(&mut self, values: &[pg_sys::Datum], nulls: &[bool], weight: i32) {
        self.fill(values, nulls, weight);
        // SAFETY: per contract.
        unsafe { self.insert.push_unguarded(&self.values, &self.nulls) }
    }

    /// The batch of rows behind it.
    pub fn batch(&mut self) -> &mut MultiInsert {
        &mut self.insert
    }

    #[inline]
    fn fill(&mut self, values: &[pg_sys::Datum], nulls: &[bool], weight: i32) {
        if let Some(slot) = self.values.get_mut(WEIGHT) {
            *slot = pg_sys::Datum::from(weight);
        }
        let (to_values, to_nulls) = (
            self.values.iter_mut().skip(FIRST_COLUMN),
            self.nulls.iter_mut().skip(FIRST_COLUMN),
        );
        for ((value, null), from) in to_values.zip(to_nulls).zip(&self.target.columns) {
            match from.map(|at| (values.get(at), nulls.get(at))) {
                Some((Some(given), Some(is_null))) => (*value, *null) = (*given, *is_null),
                _ => (*value, *null) = (pg_sys::Datum::from(0), true),
            }
        }
    }

    /// Writes a row that tells consumers to recompute.
    pub fn push_recompute(&mut self) {
        self.push(&[], &[], 0);
    }

    /// Writes what is left and closes the buffer.
    pub fn finish(self) {
        self.insert.finish();
    }
}

/// Changes of a stream table that is itself a source. The refresh writes them as it applies them,
/// since no triggers run then.
#[derive(Debug)]
pub struct BufferWriter {
    writer: ChangeWriter,
    width: usize,
    is_outdated: bool,
    marked: bool,
}

impl BufferWriter {
    /// The writer for a stream table's changes; `None` if nothing reads them.
    pub fn open(stream_table: pg_sys::Oid) -> Result<Option<Self>> {
        let table = Relation::open(stream_table, pg_sys::AccessShareLock as pg_sys::LOCKMODE)?;
        let Some(target) = target::of(stream_table, table.tuple_desc())? else {
            return Ok(None);
        };
        Ok(Some(BufferWriter {
            width: target.width,
            is_outdated: target.is_outdated,
            marked: false,
            writer: ChangeWriter::open(target)?,
        }))
    }

    /// Writes a change of the row in `slot`, which has the stream table's row type.
    pub fn push(&mut self, slot: &mut Slot, weight: i32) -> Result<()> {
        if self.is_outdated {
            self.push_recompute();
            return Ok(());
        }
        let (values, nulls) = slot.values();
        let width = self.width.min(values.len());
        let (values, nulls) = (values.get(..width), nulls.get(..width));
        self.writer.push(
            values.unwrap_or_default(),
            nulls.unwrap_or_default(),
            weight,
        );
        Ok(())
    }

    /// Tells the readers to recompute, once.
    pub fn push_recompute(&mut self) {
        if !self.marked {
            self.marked = true;
            self.writer.push_recompute();
        }
    }

    /// Writes what is left.
    pub fn finish(self) -> Result<()> {
        self.writer.finish();
        Ok(())
    }
}

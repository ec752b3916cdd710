//! A table whose rows are found by key (or image) and written: the stream table itself, or the
//! state of a node.

use pgrx::pg_sys;

use crate::error::{Error, Result};
use crate::pg::bulk_insert::Filler;
use crate::pg::image;
use crate::pg::key_index::KeyIndex;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::removal;
use crate::pg::row::Row;
use crate::pg::running_writes::{self, Writing};
use crate::pg::slot::{Slot, SlotKind};
use crate::pg::statement_triggers::are_only_guards;
use crate::pg::table_scan::TableScan;
use crate::pg::table_writer::TableWriter;
use crate::pg::tupdesc::attributes;

use super::immediate::Recorder;
use super::lookup::Lookup;

/// Is shown rows with their row type.
pub type Visitor<'a> = &'a mut dyn FnMut(&mut Slot, pg_sys::TupleDesc);

/// Rows written, as they are counted in the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
}

impl Counts {
    /// Nothing written.
    pub const NONE: Counts = Counts {
        inserted: 0,
        updated: 0,
        deleted: 0,
    };
}

/// Where the row with a key is, as far as is known.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// It has to be looked up.
    Unknown,
    /// There is none.
    Nowhere,
    /// It was found here at this refresh's snapshot.
    At(pg_sys::ItemPointerData),
}

/// An open table with its look-up and, once something is written, its writer.
#[derive(Debug)]
pub struct KeyedTable {
    index: Option<KeyIndex>,
    /// By which rows are looked up.
    columns: Vec<usize>,
    /// Of a stream table, whose triggers fire: that it is being written.
    writing: Option<Writing>,
    /// The row that was found without the index.
    fetched: Option<Slot>,
    writer: Option<TableWriter>,
    recorder: Option<Recorder>,
    row: Slot,
    counts: Counts,
    /// Whether it has no triggers of users.
    has_only_guards: bool,
    /// Closed last, as fields drop in order.
    relation: Relation,
}

impl KeyedTable {
    /// Opens a stream table: its changes are recorded for those that read it. The table is locked before
    /// these are looked for, so that no new one comes in between.
    pub fn open_recording(table: pg_sys::Oid, lookup: &Lookup) -> Result<Self> {
        let mut opened = Self::open(table, lookup)?;
        opened.writing = Some(running_writes::writing(table));
        opened.recorder = Recorder::open(table, opened.tuple_desc())?;
        Ok(opened)
    }

    /// Opens the table.
    pub fn open(table: pg_sys::Oid, lookup: &Lookup) -> Result<Self> {
        let relation = Relation::open(table, LockMode::RowExclusive)?;
        let (index, columns) = match lookup {
            Lookup::Single => (None, Vec::new()),
            Lookup::Index {
                index,
                columns,
                over,
            } => {
                let index = KeyIndex::open(&relation, *index, columns, *over)?;
                (Some(index), columns.clone())
            }
        };
        let row = Slot::new(relation.tuple_desc(), SlotKind::Virtual);
        Ok(KeyedTable {
            index,
            columns,
            writing: None,
            fetched: None,
            writer: None,
            recorder: None,
            row,
            counts: Counts::default(),
            has_only_guards: are_only_guards(&relation),
            relation,
        })
    }

    /// The table's row type.
    pub fn tuple_desc(&self) -> pg_sys::TupleDesc {
        self.relation.tuple_desc()
    }

    /// The first stored row with the key.
    pub fn find(&mut self, key: Row<'_>) -> Option<&mut Slot> {
        match &mut self.index {
            Some(index) => {
                index.seek(key);
                index.next(key)
            }
            None => {
                self.fetched = TableScan::first_row(&self.relation);
                self.fetched.as_mut()
            }
        }
    }

    /// Makes the row with the key, which is in this place, be `new`, or not be there.
    pub fn put(&mut self, key: Row<'_>, place: Place, new: Option<Row<'_>>) -> Result<()> {
        self.open_writer();
        let KeyedTable {
            index,
            fetched,
            writer: Some(writer),
            recorder,
            row,
            counts,
            relation,
            ..
        } = self
        else {
            return Err(Error::Internal("the table writer is not open".into()));
        };
        let stored = match (place, index) {
            (Place::Nowhere, _) => None,
            (Place::At(tid), _) => {
                let slot = fetched.get_or_insert_with(|| TableScan::row_slot(relation));
                if !TableScan::fetch(relation, tid, slot) {
                    return Err(Error::OutOfStep {
                        relation: relation.name(),
                        missing: 1,
                    });
                }
                Some(slot)
            }
            (Place::Unknown, Some(index)) => {
                index.seek(key);
                index.next(key)
            }
            (Place::Unknown, None) => {
                *fetched = TableScan::first_row(relation);
                fetched.as_mut()
            }
        };
        match (stored, new) {
            (None, None) => {}
            (None, Some(new)) => {
                fill(row, new);
                if let Some(recorder) = recorder {
                    recorder.push(row, 1)?;
                }
                writer.insert(row);
                counts.inserted += 1;
            }
            (Some(stored), None) => {
                if let Some(recorder) = recorder {
                    recorder.push(stored, -1)?;
                }
                writer.delete(stored);
                counts.deleted += 1;
            }
            (Some(stored), Some(new)) => {
                if same_image(relation.tuple_desc(), stored, new) {
                    return Ok(());
                }
                fill(row, new);
                if let Some(recorder) = recorder {
                    recorder.push(stored, -1)?;
                    recorder.push(row, 1)?;
                }
                writer.update(stored, row);
                counts.updated += 1;
            }
        }
        Ok(())
    }

    /// Inserts a row.
    pub fn insert(&mut self, row: Row<'_>) -> Result<()> {
        self.open_writer();
        fill(&mut self.row, row);
        if let Some(recorder) = &mut self.recorder {
            recorder.push(&mut self.row, 1)?;
        }
        if let Some(writer) = &mut self.writer {
            writer.insert(&mut self.row);
        }
        self.counts.inserted += 1;
        Ok(())
    }

    /// Deletes `copies` rows with the key, all of which must be there; the first of them becomes another, if one is given.
    pub fn delete_or_replace(
        &mut self,
        key: Row<'_>,
        copies: u64,
        mut first: Option<Row<'_>>,
    ) -> Result<()> {
        self.open_writer();
        let mut left = copies;
        if let (Some(index), Some(writer)) = (&mut self.index, &mut self.writer) {
            index.seek(key);
            while left > 0
                && let Some(stored) = index.next(key)
            {
                left -= 1;
                if let Some(recorder) = &mut self.recorder {
                    recorder.push(stored, -1)?;
                }
                let Some(new) = first.take() else {
                    writer.delete(stored);
                    self.counts.deleted += 1;
                    continue;
                };
                fill(&mut self.row, new);
                if let Some(recorder) = &mut self.recorder {
                    recorder.push(&mut self.row, 1)?;
                }
                writer.update(stored, &mut self.row);
                self.counts.updated += 1;
            }
        } else if self.find(key).is_some() {
            self.put(key, Place::Unknown, first)?;
            left -= 1;
        }
        if left > 0 {
            return Err(Error::OutOfStep {
                relation: self.relation.name(),
                missing: left,
            });
        }
        Ok(())
    }

    /// Visits every stored row with the key.
    pub fn visit(&mut self, key: Row<'_>, visitor: Visitor<'_>) {
        let desc = self.relation.tuple_desc();
        match &mut self.index {
            Some(index) => {
                index.seek(key);
                while let Some(row) = index.next(key) {
                    visitor(row, desc);
                }
            }
            None => self.visit_all(visitor),
        }
    }

    /// Visits every stored row.
    pub fn visit_all(&self, visitor: Visitor<'_>) {
        let mut scan = TableScan::begin(&self.relation);
        while let Some(row) = scan.next() {
            visitor(row, self.relation.tuple_desc());
        }
    }

    /// Makes the row that the slot was read from be `new`.
    pub fn update_stored(&mut self, stored: &mut Slot, new: Row<'_>) -> Result<()> {
        self.open_writer();
        fill(&mut self.row, new);
        if let Some(recorder) = &mut self.recorder {
            recorder.push(stored, -1)?;
            recorder.push(&mut self.row, 1)?;
        }
        if let Some(writer) = &mut self.writer {
            writer.update(stored, &mut self.row);
        }
        self.counts.updated += 1;
        Ok(())
    }

    /// Deletes the row that the slot was read from.
    pub fn delete_stored(&mut self, stored: &mut Slot) -> Result<()> {
        self.open_writer();
        if let Some(recorder) = &mut self.recorder {
            recorder.push(stored, -1)?;
        }
        if let Some(writer) = &mut self.writer {
            writer.delete(stored);
        }
        self.counts.deleted += 1;
        Ok(())
    }

    /// The positions of the columns by which rows are looked up.
    pub fn lookup_columns(&self) -> &[usize] {
        &self.columns
    }

    /// Whether nothing distinguishes an update from a deletion and an insertion.
    pub fn may_replace_rows(&self) -> bool {
        self.recorder.is_none() && !self.relation.is_logged_logically() && self.has_only_guards
    }

    /// Deletes the row at this place, of which nothing hears.
    pub fn delete_at(&mut self, tid: pg_sys::ItemPointerData) {
        self.open_writer();
        if let Some(writer) = &mut self.writer {
            writer.delete_at(tid);
        }
        self.counts.deleted += 1;
    }

    /// Whether it is a stream table.
    pub fn is_stream_table(&self) -> bool {
        self.writing.is_some()
    }

    /// The open table.
    pub fn relation(&self) -> &Relation {
        &self.relation
    }

    /// A writer of many rows, for an empty table of whose rows nothing else hears.
    pub fn filler(&self) -> Option<Filler> {
        match &self.recorder {
            None => Filler::of(&self.relation),
            Some(_) => None,
        }
    }

    /// Empties a state table that no one else uses, and returns a writer of its rows. Afterwards its indexes have to be
    /// [rebuilt](removal::reindex).
    pub fn refiller(&self) -> Option<Filler> {
        let filler = Filler::before_indexes(&self.relation)?;
        removal::empty_file(&self.relation).then_some(filler)
    }

    /// Finishes the writes and returns what they were.
    pub fn finish(mut self) -> Result<Counts> {
        if let Some(writer) = self.writer.take() {
            writer.finish();
        }
        if let Some(recorder) = self.recorder.take() {
            recorder.finish()?;
        }
        Ok(self.counts)
    }

    fn open_writer(&mut self) {
        if self.writer.is_none() {
            self.writer = Some(match self.is_stream_table() {
                true => TableWriter::open(&self.relation),
                false => TableWriter::without_triggers(&self.relation),
            });
        }
    }
}

/// Fills a slot with a row, without a copy.
pub(super) fn fill(slot: &mut Slot, row: Row<'_>) {
    slot.store_virtual(|values, nulls| {
        values.copy_from_slice(row.values);
        nulls.copy_from_slice(row.nulls);
    });
}

/// Whether the stored row has exactly these values.
fn same_image(desc: pg_sys::TupleDesc, stored: &mut Slot, row: Row<'_>) -> bool {
    let mut pairs = stored
        .row()
        .columns()
        .zip(row.columns())
        .zip(attributes(desc));
    pairs.all(|(((old, old_null), (new, new_null)), column)| {
        old_null == new_null && (old_null || image::datum_equal(old, new, column))
    })
}

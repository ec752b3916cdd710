//! Replacing the rows of a table by others, writing only the difference.

use std::collections::HashMap;

use pgrx::pg_sys;
use pgtrickle_dvm::weight::Weight;

use crate::error::{Error, Result};
use crate::pg::image::{self, ImageMap};
use crate::pg::row::Row;
use crate::pg::slot::Slot;
use crate::pg::table_scan::TableScan;
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;
use crate::shmem::progress::{Followed, Phase};

use super::keyed_table::{Counts, KeyedTable};
use super::pairing::{self, KeyHash};

/// Hears of each row that goes (weight −1) and comes (weight 1).
pub type Listener<'a> = &'a mut dyn FnMut(Row<'_>, Weight) -> Result<()>;

/// Rows that are stored and that the fresh ones are to take the place of, by image.
///
/// Memory: about 70 bytes per stored row.
#[derive(Debug, Default)]
pub struct Stored {
    /// The first row with an image that no fresh one has taken, as a position in `rows`.
    first: ImageMap<usize>,
    rows: Vec<StoredRow>,
}

#[derive(Debug)]
struct StoredRow {
    /// None when a fresh row is the same.
    tid: Option<pg_sys::ItemPointerData>,
    /// The next one with the same image, [`NONE`] if there is none.
    next: usize,
}

/// Whether so many of the stored rows go that it costs less to delete them and to insert others, which is a matter of
/// whole pages, than to update one by one. Of fewer rows most updates find room beside the old version.
fn is_most(leaving: usize, stored: usize) -> bool {
    leaving >= 1000 && leaving >= stored / 3
}

/// No position.
const NONE: usize = usize::MAX;

impl Stored {
    /// The rows of a table.
    pub fn of(table: &KeyedTable, progress: &Followed) -> Self {
        progress.enter(Phase::Compare, 0);
        let mut stored = Stored::default();
        table.visit_all(&mut |row, desc| {
            progress.step();
            stored.add(row, desc);
        });
        stored
    }

    /// Adds a row of a table with these columns.
    pub fn add(&mut self, row: &mut Slot, desc: pg_sys::TupleDesc) {
        let tid = row.tid();
        self.add_at(tid, row.row(), desc);
    }

    /// Adds the row of a table with these columns that is in this place.
    pub fn add_at(&mut self, tid: pg_sys::ItemPointerData, row: Row<'_>, desc: pg_sys::TupleDesc) {
        let hash = image::hash128(row, attributes(desc));
        let next = self.first.insert(hash, self.rows.len()).unwrap_or(NONE);
        let tid = Some(tid);
        self.rows.push(StoredRow { tid, next });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether one of the rows left is the same as this one of a table with these columns; it does not count any
    /// more.
    pub fn take(&mut self, row: Row<'_>, desc: pg_sys::TupleDesc) -> bool {
        let hash = image::hash128(row, attributes(desc));
        let Some(first) = self.first.get_mut(&hash) else {
            return false;
        };
        let Some(row) = self.rows.get_mut(*first) else {
            return false;
        };
        row.tid = None;
        *first = row.next;
        true
    }

    /// The difference between the stored rows and the fresh ones. A row that goes and one that comes with the same
    /// key are an update: the one given (positions in the table), and in a stream table any that is unique.
    pub fn difference(
        mut self,
        table: &KeyedTable,
        fresh: Vec<TupleStore>,
        key: Option<&[usize]>,
    ) -> Result<Difference> {
        let mut arriving = Vec::new();
        let mut position = 0_usize;
        for store in &fresh {
            check_types(table, store.tuple_desc())?;
            let mut scan = store.scan();
            while let Some(row) = scan.next() {
                if !self.take(row.row(), table.tuple_desc()) {
                    arriving.push(position);
                }
                position += 1;
            }
        }
        self.replaced_by(table, fresh, arriving, key)
    }

    /// The same where only the fresh rows at these rising positions differ from stored ones; the others have been
    /// [taken](Self::take).
    pub fn replaced_by(
        self,
        table: &KeyedTable,
        fresh: Vec<TupleStore>,
        arriving: Vec<usize>,
        key: Option<&[usize]>,
    ) -> Result<Difference> {
        let stored = self.rows.len();
        let left = self.rows.into_iter().filter(|row| row.tid.is_some());
        let mut leaving: Vec<_> = left.map(|row| row.tid).collect();
        let keys = match table.is_stream_table() {
            _ if is_most(leaving.len(), stored) && table.may_replace_rows() => Vec::new(),
            true => pairing::keys_of(table.relation(), key),
            false => key.map(<[usize]>::to_vec).into_iter().collect(),
        };
        let mut updates = vec![None; arriving.len()];
        for key in keys {
            if leaving.iter().any(Option::is_some) && updates.iter().any(Option::is_none) {
                pair(table, &fresh, &arriving, &key, &mut leaving, &mut updates)?;
            }
        }
        Ok(Difference {
            fresh,
            arriving,
            updates,
            leaving,
        })
    }
}

/// What is to be written.
#[derive(Debug)]
pub struct Difference {
    fresh: Vec<TupleStore>,
    /// Rising positions of the fresh rows that are not stored.
    arriving: Vec<usize>,
    /// For each of them the stored row that it takes the place of.
    updates: Vec<Option<pg_sys::ItemPointerData>>,
    /// The stored rows that go.
    leaving: Vec<Option<pg_sys::ItemPointerData>>,
}

impl Difference {
    /// How many rows come.
    pub fn arriving(&self) -> u64 {
        self.arriving.len() as u64
    }

    /// Writes it.
    pub fn write(
        self,
        table: &mut KeyedTable,
        mut listener: Option<Listener<'_>>,
        progress: &Followed,
    ) -> Result<()> {
        let update_of = |at: usize| self.updates.get(at).copied().flatten();
        let mut row = TableScan::row_slot(table.relation());
        // Rows that go leave first, so that unique keys are free for the rows that come.
        for tid in self.leaving.iter().copied().flatten() {
            match &mut listener {
                None if table.may_replace_rows() => table.delete_at(tid),
                listener => {
                    if TableScan::fetch(table.relation(), tid, &mut row) {
                        hear(listener, row.row(), -Weight::ONE)?;
                        table.delete_stored(&mut row)?;
                    }
                }
            }
        }
        each_of(&self.fresh, &self.arriving, |at, values| {
            if let Some(tid) = update_of(at)
                && TableScan::fetch(table.relation(), tid, &mut row)
            {
                hear(&mut listener, row.row(), -Weight::ONE)?;
                progress.step();
                table.update_stored(&mut row, values)?;
                hear(&mut listener, values, Weight::ONE)?;
            }
            Ok(())
        })?;
        each_of(&self.fresh, &self.arriving, |at, values| {
            if update_of(at).is_none() {
                progress.step();
                table.insert(values)?;
                hear(&mut listener, values, Weight::ONE)?;
            }
            Ok(())
        })
    }
}

fn hear(listener: &mut Option<Listener<'_>>, row: Row<'_>, weight: Weight) -> Result<()> {
    match listener {
        Some(listener) => listener(row, weight),
        None => Ok(()),
    }
}

/// Has rows that leave become arriving ones with the same key.
fn pair(
    table: &KeyedTable,
    fresh: &[TupleStore],
    arriving: &[usize],
    key: &[usize],
    leaving: &mut [Option<pg_sys::ItemPointerData>],
    updates: &mut [Option<pg_sys::ItemPointerData>],
) -> Result<()> {
    let mut hash = KeyHash::new(table.relation(), key)?;
    let mut by_key: HashMap<u128, Vec<&mut Option<pg_sys::ItemPointerData>>> = HashMap::new();
    let mut row = TableScan::row_slot(table.relation());
    for tid in leaving.iter_mut() {
        if let Some(at) = tid
            && TableScan::fetch(table.relation(), *at, &mut row)
        {
            by_key.entry(hash.of(row.row())).or_default().push(tid);
        }
    }
    each_of(fresh, arriving, |at, values| {
        if let Some(update) = updates.get_mut(at).filter(|update| update.is_none())
            && let Some(tid) = by_key.get_mut(&hash.of(values)).and_then(Vec::pop)
        {
            *update = tid.take();
        }
        Ok(())
    })
}

/// Visits the fresh rows at these rising positions.
fn each_of(
    fresh: &[TupleStore],
    positions: &[usize],
    mut visit: impl FnMut(usize, Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut wanted = positions.iter().enumerate().peekable();
    let mut position = 0_usize;
    for store in fresh {
        let mut scan = store.scan();
        while let Some(row) = scan.next() {
            if let Some((at, _)) = wanted.next_if(|(_, wanted)| **wanted == position) {
                visit(at, row.row())?;
            }
            position += 1;
        }
    }
    Ok(())
}

/// Rows are written without a cast, so that types must agree.
pub(super) fn check_types(table: &KeyedTable, rows: pg_sys::TupleDesc) -> Result<()> {
    let (wanted, given) = (attributes(table.tuple_desc()), attributes(rows));
    if wanted.len() != given.len()
        || wanted
            .iter()
            .zip(given)
            .any(|(w, g)| w.atttypid != g.atttypid || w.attisdropped)
    {
        return Err(Error::ShapeChanged {
            relation: table.relation().name(),
        });
    }
    Ok(())
}

/// Makes the table hold exactly these rows, writing only the difference, of which `listener` hears.
pub fn replace(
    mut table: KeyedTable,
    rows: TupleStore,
    listener: Option<Listener<'_>>,
) -> Result<Counts> {
    let nobody = Followed::by_none();
    let difference = Stored::of(&table, &nobody).difference(&table, vec![rows], None)?;
    difference.write(&mut table, listener, &nobody)?;
    table.finish()
}

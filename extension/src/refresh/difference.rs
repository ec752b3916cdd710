//! Making rows of a table be others, writing only what differs.

use std::collections::HashMap;

use pgrx::pg_sys;

use crate::error::{Error, Result};
use crate::pg::image;
use crate::pg::slot::Slot;
use crate::pg::table_scan::TableScan;
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;

use super::keyed_table::KeyedTable;
use super::pairing::{self, KeyHash};
use super::sink::Row;

/// Hears of each row that goes (weight −1) and comes (weight 1).
pub type Listener<'a> = &'a mut dyn FnMut(Row<'_>, i32) -> Result<()>;

/// Rows that are stored and that the fresh ones are to take the place of, by image.
///
/// Memory: about 50 bytes per stored row.
#[derive(Debug, Default)]
pub struct Stored {
    rows: HashMap<u128, Vec<pg_sys::ItemPointerData>>,
}

impl Stored {
    /// Adds a row of a table with these columns.
    pub fn add(&mut self, row: &mut Slot, desc: pg_sys::TupleDesc) {
        let tid = row.tid();
        self.add_at(tid, row.values(), desc);
    }

    /// Adds the row of a table with these columns that is in this place.
    pub fn add_at(&mut self, tid: pg_sys::ItemPointerData, row: Row<'_>, desc: pg_sys::TupleDesc) {
        let hash = image::hash128(row.0, row.1, attributes(desc));
        self.rows.entry(hash).or_default().push(tid);
    }

    /// The difference between the stored rows and the fresh ones. A row that goes and one that comes with the same
    /// key are an update: the one given (positions in the table), and in a stream table any that is unique.
    pub fn difference(
        mut self,
        table: &KeyedTable,
        fresh: Vec<TupleStore>,
        key: Option<&[usize]>,
    ) -> Result<Difference> {
        let arriving = self.unmatched(table, &fresh)?;
        let mut leaving: Vec<Option<pg_sys::ItemPointerData>> =
            self.rows.into_values().flatten().map(Some).collect();
        let keys = match table.is_stream_table() {
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

    /// Positions of the fresh rows that are not stored. Those that are leave `self`.
    fn unmatched(&mut self, table: &KeyedTable, fresh: &[TupleStore]) -> Result<Vec<usize>> {
        let columns = attributes(table.tuple_desc());
        let mut arriving = Vec::new();
        let mut position = 0_usize;
        for store in fresh {
            check_types(table, store)?;
            let mut scan = store.scan();
            while let Some(row) = scan.next() {
                let (values, nulls) = row.values();
                let hash = image::hash128(values, nulls, columns);
                let known = self.rows.get_mut(&hash).and_then(Vec::pop).is_some();
                if !known {
                    arriving.push(position);
                }
                position += 1;
            }
        }
        Ok(arriving)
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
    pub fn write(self, table: &mut KeyedTable, listener: Listener<'_>) -> Result<()> {
        let update_of = |at: usize| self.updates.get(at).copied().flatten();
        let mut row = TableScan::row_slot(table.relation());
        // Rows that go leave first, so that unique keys are free for the rows that come.
        for tid in self.leaving.iter().copied().flatten() {
            if TableScan::fetch(table.relation(), tid, &mut row) {
                listener(row.values(), -1)?;
                table.delete_stored(&mut row)?;
            }
        }
        each_of(&self.fresh, &self.arriving, |at, values| {
            if let Some(tid) = update_of(at)
                && TableScan::fetch(table.relation(), tid, &mut row)
            {
                listener(row.values(), -1)?;
                table.update_stored(&mut row, values)?;
                listener(values, 1)?;
            }
            Ok(())
        })?;
        each_of(&self.fresh, &self.arriving, |at, values| {
            if update_of(at).is_none() {
                table.insert(values.0, values.1)?;
                listener(values, 1)?;
            }
            Ok(())
        })
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
            by_key.entry(hash.of(row.values())).or_default().push(tid);
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
                visit(at, row.values())?;
            }
            position += 1;
        }
    }
    Ok(())
}

/// Rows are written without a cast, so that types must agree.
fn check_types(table: &KeyedTable, rows: &TupleStore) -> Result<()> {
    let (wanted, given) = (
        attributes(table.tuple_desc()),
        attributes(rows.tuple_desc()),
    );
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

//! Consolidated deltas: rows by image, each with its net weight.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use pgrx::pg_sys;

use pgtrickle_dvm::plan::Identity;
use pgtrickle_dvm::weight::Weight;

use crate::cdc::weighted::WeightColumn;
use crate::error::{Error, Result};
use crate::pg::image;
use crate::pg::row::{OwnedRow, Row};
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;

use super::immediate::rows::Keys;
use super::keyed_table::{Counts, KeyedTable, Place};
use super::pairing::{Pairs, pair};

/// One row with its net weight.
#[derive(Debug)]
struct Entry {
    row: OwnedRow,
    weight: Weight,
}

impl Entry {
    fn row(&self) -> Row<'_> {
        self.row.row()
    }

    /// The values at these positions.
    fn key(&self, columns: &[usize]) -> OwnedRow {
        OwnedRow::columns_of(self.row(), columns)
    }
}

/// A Z-set of rows.
///
/// Values are copied into the memory context that was current when they were added. Memory:
/// O(distinct rows of the delta).
#[derive(Debug)]
pub struct DeltaSet {
    desc: pg_sys::TupleDesc,
    width: usize,
    entries: HashMap<u128, Entry>,
}

impl DeltaSet {
    /// Consolidates `store`, whose last column is the weight (`int4` or `int8`).
    pub fn consolidate(store: &TupleStore) -> Self {
        let desc = store.tuple_desc();
        let all = attributes(desc);
        let width = all.len().saturating_sub(1);
        let weight = WeightColumn::of(desc);
        let mut entries: HashMap<u128, Entry> = HashMap::new();
        let mut scan = store.scan();
        while let Some(slot) = scan.next() {
            let whole = slot.row();
            let (row, weight) = (whole.without_last(), weight.read(whole));
            let hash = image::hash128(row, all.iter().take(width));
            entries
                .entry(hash)
                .and_modify(|entry| entry.weight += weight)
                .or_insert_with(|| Entry {
                    row: OwnedRow::with_nulls(image::copy_row(row, all), row.nulls),
                    weight,
                });
        }
        entries.retain(|_, entry| !entry.weight.is_zero());
        DeltaSet {
            desc,
            width,
            entries,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a row with this image hash is in it.
    pub fn contains(&self, hash: u128) -> bool {
        self.entries.contains_key(&hash)
    }

    /// The rows with their weights.
    pub fn rows(&self) -> impl Iterator<Item = (Row<'_>, Weight)> {
        let rows = self.entries.values();
        rows.map(|entry| (entry.row(), entry.weight))
    }

    /// Keeps the rows for which `keep` says so of image hash and values, each with this weight.
    pub fn retain_as(&mut self, weight: Weight, mut keep: impl FnMut(u128, Row<'_>) -> bool) {
        self.entries.retain(|hash, entry| {
            entry.weight = weight;
            keep(*hash, entry.row())
        });
    }

    /// Takes another set of rows of the same type away.
    pub fn subtract(&mut self, mut other: Self) {
        (other.entries.values_mut()).for_each(|entry| entry.weight = -entry.weight);
        self.add(other);
    }

    /// Adds another set of rows of the same type.
    pub fn add(&mut self, other: Self) {
        for (hash, entry) in other.entries {
            match self.entries.entry(hash) {
                Slot::Occupied(mut known) => {
                    known.get_mut().weight += entry.weight;
                    if known.get().weight.is_zero() {
                        known.remove();
                    }
                }
                Slot::Vacant(free) => {
                    free.insert(entry);
                }
            }
        }
    }

    /// The keys of its rows.
    pub fn keys(&self, identity: &Identity) -> Keys {
        let all = attributes(self.desc);
        let mut keys = Keys::default();
        for entry in self.entries.values() {
            match identity {
                Identity::Key { columns, .. } => {
                    let types = columns.iter().filter_map(|c| all.get(*c));
                    keys.add(entry.key(columns).row(), types);
                }
                Identity::Image => keys.add_leading(entry.row(), self.desc),
            }
        }
        keys
    }

    /// Applies it to a table whose rows are found by the image of the whole row. In a stream table, rows that go and
    /// come with the same unique key are updates.
    pub fn apply_by_image(&self, mut table: KeyedTable) -> Result<Counts> {
        let (come, gone): (Vec<_>, Vec<_>) =
            (self.entries.values()).partition(|entry| entry.weight > Weight::ZERO);
        let pairs = match table.is_stream_table() {
            true => pair(table.relation(), None, &rows_of(&gone), &rows_of(&come))?,
            false => Pairs::none(gone.len(), come.len()),
        };
        for (old, pair) in gone.iter().zip(&pairs.of_gone) {
            let copies = old.weight.rows().unsigned_abs();
            let new = pair.and_then(|at| come.get(at)).map(|new| new.row());
            table.delete_or_replace(old.row(), copies, new)?;
        }
        for (new, is_there) in come.iter().zip(&pairs.is_taken) {
            for _ in i64::from(*is_there)..new.weight.rows() {
                table.insert(new.row())?;
            }
        }
        table.finish()
    }

    /// Applies it to a table whose rows are found by these columns: a row that goes and one that
    /// comes with the same key are an update.
    pub fn apply_by_key(self, mut table: KeyedTable, columns: &[usize]) -> Result<Counts> {
        let all = attributes(self.desc);
        let key_of = |entry: &Entry| entry.key(columns);
        let mut changes: HashMap<u128, (Option<&Entry>, Option<&Entry>)> = HashMap::new();
        for entry in self.entries.values() {
            let key = key_of(entry);
            let types = columns.iter().filter_map(|c| all.get(*c));
            let hash = image::hash128(key.row(), types);
            let change = changes.entry(hash).or_default();
            let side = match entry.weight < Weight::ZERO {
                true => &mut change.0,
                false => &mut change.1,
            };
            if side.is_some() || entry.weight.rows().abs() != 1 {
                return Err(Error::KeyNotUnique {
                    relation: table.relation().name(),
                });
            }
            *side = Some(entry);
        }
        debug_assert!(self.width > 0);
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for change in changes.values() {
            match change {
                (Some(old), None) => gone.push(*old),
                (None, Some(new)) => come.push(*new),
                _ => {}
            }
        }
        // What is left may be of one key by the types' equality, or by another unique index.
        let pairs = pair(
            table.relation(),
            Some(columns),
            &rows_of(&gone),
            &rows_of(&come),
        )?;
        for (old, pair) in gone.iter().zip(&pairs.of_gone) {
            let new = pair.and_then(|at| come.get(at)).map(|new| new.row());
            table.delete_or_replace(key_of(old).row(), 1, new)?;
        }
        let updated = changes.values().filter(|(old, _)| old.is_some());
        let updated = updated.filter_map(|(_, new)| *new);
        let inserted = come.iter().zip(&pairs.is_taken);
        let inserted = inserted.filter(|(_, is_taken)| !**is_taken);
        for new in updated.chain(inserted.map(|(new, _)| *new)) {
            table.put(key_of(new).row(), Place::Unknown, Some(new.row()))?;
        }
        table.finish()
    }
}

fn rows_of<'e>(entries: &[&'e Entry]) -> Vec<Row<'e>> {
    entries.iter().map(|entry| entry.row()).collect()
}

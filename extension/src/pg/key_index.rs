//! Finding rows by key through an index, without the executor.
//!
//! It uses a plain btree over the key columns, where NULLs match NULLs and values match by the column's
//! equality; or a btree over a hash of the key columns, where each hit is checked by image, or by
//! the types' equality ([`super::row_equality`]).

use std::ptr;

use pgrx::pg_sys;

use super::index_lookup::{Over, image_columns};
use super::is_aborting;
use super::lock_mode::LockMode;
use super::relation::Relation;
use super::row::Row;
use super::row_equality::RowEquality;
use super::slot::Slot;
use super::tupdesc::attributes;
use super::version;
use crate::error::{Error, Result};
use crate::pg::image;

/// A scan over an index of `table`, rescanned for each key.
#[derive(Debug)]
pub struct KeyIndex {
    scan: pg_sys::IndexScanDesc,
    keys: Vec<pg_sys::ScanKeyData>,
    matching: Matching,
    slot: Slot,
    /// Closed after the scan, as fields drop in order.
    _index: Relation,
}

#[derive(Debug)]
enum Matching {
    /// By the indexed columns' equality.
    Indexed,
    /// By a hash of the columns that agrees with their equality, with recheck.
    Equality(Box<RowEquality>),
    /// By image hash over these columns of the table (positions from 0), with recheck.
    Image {
        columns: Vec<usize>,
        desc: pg_sys::TupleDesc,
    },
}

impl KeyIndex {
    /// Opens `index` of `table` under the active snapshot. `columns` are the key's positions in the
    /// table (from 0), in the order of the keys that will be looked up.
    pub fn open(
        table: &Relation,
        index: pg_sys::Oid,
        columns: &[usize],
        over: Over,
    ) -> Result<Self> {
        let index = Relation::open(index, LockMode::AccessShare)?;
        let width = match over {
            Over::Image | Over::Equality => 1,
            Over::Key | Over::Values => columns.len(),
        };
        let keys = (0..width)
            .map(|position| scan_key(&index, position))
            .collect::<Result<Vec<_>>>()?;
        // SAFETY: both relations are open and locked and outlive the scan; the active snapshot
        // outlives it too, since its guard is older.
        let scan = unsafe {
            version::index_scan::begin(
                table.as_ptr(),
                index.as_ptr(),
                pg_sys::GetActiveSnapshot(),
                width as i32,
            )
        };
        // SAFETY: the table is open.
        let slot =
            unsafe { Slot::adopt(pg_sys::table_slot_create(table.as_ptr(), ptr::null_mut())) };
        let matching = match over {
            Over::Image => Matching::Image {
                columns: columns.to_vec(),
                desc: table.tuple_desc(),
            },
            Over::Equality => Matching::Equality(Box::new(RowEquality::new(table, columns)?)),
            Over::Key | Over::Values => Matching::Indexed,
        };
        Ok(KeyIndex {
            scan,
            keys,
            matching,
            slot,
            _index: index,
        })
    }

    /// Starts to look for rows with this key.
    pub fn seek(&mut self, wanted: Row<'_>) {
        match &mut self.matching {
            Matching::Indexed => {
                for (key, (value, null)) in self.keys.iter_mut().zip(wanted.columns()) {
                    key.sk_argument = value;
                    key.sk_flags = if null {
                        (pg_sys::SK_ISNULL | pg_sys::SK_SEARCHNULL) as i32
                    } else {
                        0
                    };
                }
            }
            Matching::Image { columns, desc } => {
                let all = attributes(*desc);
                let hashed = image_columns(columns);
                let of_key: Vec<_> = hashed.iter().filter_map(|c| all.get(*c)).collect();
                let hash = image::hash64(wanted, of_key.iter().copied());
                for key in &mut self.keys {
                    key.sk_argument = pg_sys::Datum::from(hash);
                }
            }
            Matching::Equality(rows) => {
                let hash = rows.hash(wanted);
                for key in &mut self.keys {
                    key.sk_argument = hash;
                }
            }
        }
        // SAFETY: the scan was begun for this many keys.
        unsafe {
            pg_sys::index_rescan(
                self.scan,
                self.keys.as_mut_ptr(),
                self.keys.len() as i32,
                ptr::null_mut(),
                0,
            );
        }
    }

    /// The next row with the key that was sought, which is given again for the recheck. The slot
    /// holds it until the next call.
    pub fn next(&mut self, wanted: Row<'_>) -> Option<&mut Slot> {
        loop {
            // SAFETY: scan and slot belong to each other's table.
            let found = unsafe {
                pg_sys::index_getnext_slot(
                    self.scan,
                    pg_sys::ScanDirection::ForwardScanDirection,
                    self.slot.as_ptr(),
                )
            };
            if !found {
                return None;
            }
            let is_same = match &mut self.matching {
                Matching::Indexed => true,
                Matching::Equality(rows) => rows.is_equal(self.slot.row(), wanted),
                Matching::Image { columns, desc } => {
                    let all = attributes(*desc);
                    is_alike(columns, all, self.slot.row(), wanted)
                }
            };
            if !is_same {
                continue;
            }
            return Some(&mut self.slot);
        }
    }
}

/// Whether a stored row has the image of the key in these columns.
fn is_alike(
    columns: &[usize],
    all: &[pg_sys::FormData_pg_attribute],
    stored: Row<'_>,
    key: Row<'_>,
) -> bool {
    columns.iter().enumerate().all(|(position, column)| {
        match (all.get(*column), stored.get(*column), key.get(position)) {
            (Some(attribute), Some((a, a_null)), Some((b, b_null))) => {
                a_null == b_null && (a_null || image::datum_equal(a, b, attribute))
            }
            _ => false,
        }
    })
}

impl Drop for KeyIndex {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: begun by open, ended once, before the index is closed.
            unsafe { pg_sys::index_endscan(self.scan) };
        }
    }
}

/// An equality key on a column of a btree index.
fn scan_key(index: &Relation, position: usize) -> Result<pg_sys::ScanKeyData> {
    // SAFETY: the index is open, so that its operator class arrays cover its key columns.
    unsafe {
        let relation = index.as_ptr();
        let family = *(*relation).rd_opfamily.add(position);
        let input = *(*relation).rd_opcintype.add(position);
        let collation = *(*relation).rd_indcollation.add(position);
        let operator =
            pg_sys::get_opfamily_member(family, input, input, pg_sys::BTEqualStrategyNumber as i16);
        if operator == pg_sys::InvalidOid {
            return Err(Error::Internal(format!(
                "index \"{}\" has no equality for column {}",
                index.name(),
                position + 1
            )));
        }
        let mut key: pg_sys::ScanKeyData = std::mem::zeroed();
        pg_sys::ScanKeyEntryInitialize(
            &mut key,
            0,
            (position + 1) as i16,
            pg_sys::BTEqualStrategyNumber as u16,
            pg_sys::InvalidOid,
            collation,
            pg_sys::get_opcode(operator),
            pg_sys::Datum::from(0),
        );
        Ok(key)
    }
}

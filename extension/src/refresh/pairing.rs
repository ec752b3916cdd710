//! A deleted and an inserted row with the same key are an update: foreign keys to a row must not see it vanish.
//!
//! The key is that of the plan, the primary key, and other targets of foreign keys; without any of these, the
//! columns of unique indexes. Keys are compared by the types' equality: `1.0` and `1.00` are one key.

use std::collections::HashMap;

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::image;
use crate::pg::index_lookup::equality_columns;
use crate::pg::relation::Relation;
use crate::pg::row::{OwnedRow, Row};
use crate::pg::row_equality::RowEquality;
use crate::pg::tupdesc::attributes;
use crate::pg::unique_keys;

/// The keys of a table's rows: the plan's, and those of its unique indexes unless the plan's are enough.
pub fn keys_of(table: &Relation, key: Option<&[usize]>) -> Vec<Vec<usize>> {
    let mut keys: Vec<Vec<usize>> = Vec::new();
    keys.extend(key.filter(|key| !key.is_empty()).map(<[usize]>::to_vec));
    for key in unique_keys::of(table, !keys.is_empty()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Hashes keys so that equal ones have the same hash.
#[derive(Debug)]
pub struct KeyHash {
    columns: Vec<usize>,
    desc: pg_sys::TupleDesc,
    /// None where the server can hash none of the columns.
    equality: Option<RowEquality>,
}

impl KeyHash {
    /// For keys that consist of these columns of an open table.
    pub fn new(table: &Relation, columns: &[usize]) -> Result<Self> {
        let equality = match equality_columns(table, columns).is_empty() {
            true => None,
            false => Some(RowEquality::new(table, columns)?),
        };
        Ok(KeyHash {
            columns: columns.to_vec(),
            desc: table.tuple_desc(),
            equality,
        })
    }

    /// The hash of a row's key.
    pub fn of(&mut self, row: Row<'_>) -> u128 {
        let key = OwnedRow::columns_of(row, &self.columns);
        match &mut self.equality {
            Some(equality) => equality.hash(key.row()).value() as u128,
            None => {
                let all = attributes(self.desc);
                let of_key = self.columns.iter().filter_map(|at| all.get(*at));
                image::hash128(key.row(), of_key)
            }
        }
    }
}

/// Which rows come in the place of which.
#[derive(Debug)]
pub struct Pairs {
    /// For each row that goes the one that comes.
    pub of_gone: Vec<Option<usize>>,
    /// For each row that comes whether it does so in the place of another.
    pub is_taken: Vec<bool>,
}

impl Pairs {
    /// No row is in the place of another.
    pub fn none(gone: usize, come: usize) -> Self {
        Pairs {
            of_gone: vec![None; gone],
            is_taken: vec![false; come],
        }
    }
}

/// Finds the pairs among rows that go and come.
pub fn pair(
    table: &Relation,
    key: Option<&[usize]>,
    gone: &[Row<'_>],
    come: &[Row<'_>],
) -> Result<Pairs> {
    let mut pairs = Pairs::none(gone.len(), come.len());
    if gone.is_empty() || come.is_empty() {
        return Ok(pairs);
    }
    for key in keys_of(table, key) {
        let mut hash = KeyHash::new(table, &key)?;
        let mut free: HashMap<u128, Vec<usize>> = HashMap::new();
        let candidates = come.iter().zip(&pairs.is_taken).enumerate();
        for (at, (row, _)) in candidates.filter(|(_, (_, is_taken))| !**is_taken) {
            free.entry(hash.of(*row)).or_default().push(at);
        }
        let left = pairs.of_gone.iter_mut().zip(gone);
        for (pair, row) in left.filter(|(pair, _)| pair.is_none()) {
            *pair = free.get_mut(&hash.of(*row)).and_then(Vec::pop);
            if let Some(is_taken) = pair.and_then(|at| pairs.is_taken.get_mut(at)) {
                *is_taken = true;
            }
        }
    }
    Ok(pairs)
}

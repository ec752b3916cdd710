//! Writing change rows: leading values that all of them share, a weight, and columns picked from the
//! rows of a table. Transition tables are copied in loops with one guard around many rows.

use super::image::ImageType;
use super::multi_insert::MultiInsert;
use super::relation::Relation;
use super::row::{OwnedRow, Row};
use super::row_version::differ_at;
use super::transition::Rows;
use super::unguarded;
use crate::error::Result;
use pgrx::pg_sys::Datum;
use std::rc::Rc;

/// Where a column of a change row comes from.
#[derive(Debug, Clone, Copy)]
pub enum Pick {
    /// From this position in the table's row.
    At(usize),
    /// It is the same in all rows of the table.
    Constant(Datum),
    /// The table does not have it.
    Null,
}

impl Pick {
    /// The position in the table's row, if it comes from there.
    pub fn position(self) -> Option<usize> {
        match self {
            Pick::At(position) => Some(position),
            Pick::Constant(_) | Pick::Null => None,
        }
    }
}

/// For each column of a change row after the weight, where it comes from.
pub type Picked = Rc<[Pick]>;

/// A writer to an open buffer; [`ChangeInsert::finish`] writes the last rows.
#[derive(Debug)]
pub struct ChangeInsert {
    insert: MultiInsert,
    picked: Picked,
    weight: usize,
    filled: OwnedRow,
}

impl ChangeInsert {
    /// Writes to `buffer`. The first of the `leading` values is the one that its index has.
    pub fn begin<const N: usize>(
        buffer: Relation,
        leading: [Datum; N],
        picked: Picked,
    ) -> Result<Self> {
        let mut filled = OwnedRow::blank(N + 1 + picked.len());
        for (at, value) in leading.into_iter().enumerate() {
            filled.set(at, value);
        }
        let indexed = leading.first().copied().unwrap_or(Datum::from(0));
        Ok(ChangeInsert {
            insert: MultiInsert::begin(buffer, indexed)?,
            picked,
            weight: N,
            filled,
        })
    }

    /// Writes a change of the row whose leading columns are given.
    pub fn push(&mut self, row: Row<'_>, weight: i32) {
        self.fill(row, weight);
        self.insert.push(self.filled.row());
    }

    /// Copies rows, of which the first `width` columns are needed.
    pub fn copy(&mut self, mut rows: Rows, width: usize, weight: i32) {
        self.insert.reserve(rows.count());
        loop {
            // SAFETY: nothing to drop in the loop; a row is added only while there is room.
            let at_end = unsafe {
                unguarded::guarded(|| {
                    while self.insert.free() > 0 {
                        if !rows.advance_unguarded() {
                            return true;
                        }
                        self.push_unguarded(rows.row_unguarded(width), weight);
                    }
                    false
                })
            };
            if at_end {
                return;
            }
            self.insert.flush();
        }
    }

    /// Copies both versions of the rows that changed.
    pub fn copy_changed(&mut self, mut pairs: ChangedPairs<'_>) {
        let rows = pairs.old.count().max(pairs.new.count());
        self.insert.reserve(2 * rows);
        while pairs.present != Pair::END {
            // SAFETY: nothing to drop in the loop; rows are added only while there is room for two.
            unsafe {
                unguarded::guarded(|| {
                    while pairs.present != Pair::END && self.insert.free() >= 2 {
                        if pairs.present.old {
                            self.push_unguarded(pairs.old.row_unguarded(pairs.width), -1);
                        }
                        if pairs.present.new {
                            self.push_unguarded(pairs.new.row_unguarded(pairs.width), 1);
                        }
                        pairs.advance();
                    }
                });
            }
            self.insert.flush();
        }
    }

    /// Writes what is left and closes the buffer.
    pub fn finish(self) {
        self.insert.finish();
    }

    /// Like [`ChangeInsert::push`], for loops with a guard around them.
    ///
    /// # Safety
    /// As of [`MultiInsert::push_unguarded`].
    #[inline]
    unsafe fn push_unguarded(&mut self, row: Row<'_>, weight: i32) {
        self.fill(row, weight);
        // SAFETY: per contract.
        unsafe { self.insert.push_unguarded(self.filled.row()) }
    }

    #[inline]
    fn fill(&mut self, row: Row<'_>, weight: i32) {
        self.filled.set(self.weight, weight);
        let columns = self.filled.columns_mut().skip(self.weight + 1);
        for ((value, is_null), from) in columns.zip(self.picked.iter()) {
            (*value, *is_null) = match *from {
                Pick::At(at) => row.get_or_null(at),
                // A row without values says something of the table.
                Pick::Constant(given) => (given, false),
                Pick::Null => (Datum::from(0), true),
            };
        }
    }
}

/// The pairs of old and new versions that differ in a column, read in step. Should the two tables not
/// correspond row by row, equal pairs cancel out all the same, and so may be left out.
#[derive(Debug)]
pub struct ChangedPairs<'a> {
    old: Rows,
    new: Rows,
    width: usize,
    compared: &'a [(usize, ImageType)],
    present: Pair,
}

/// Which of the two tables has a present row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    old: bool,
    new: bool,
}

impl Pair {
    const END: Pair = Pair {
        old: false,
        new: false,
    };
}

impl<'a> ChangedPairs<'a> {
    /// Moves to the first pair that differs in one of the `compared` columns; `None` if there is none.
    /// The first `width` columns are read.
    pub fn first(
        old: Rows,
        new: Rows,
        width: usize,
        compared: &'a [(usize, ImageType)],
    ) -> Option<Self> {
        let mut pairs = ChangedPairs {
            old,
            new,
            width,
            compared,
            present: Pair::END,
        };
        // SAFETY: nothing to drop in `advance`.
        unsafe { unguarded::guarded(|| pairs.advance()) };
        (pairs.present != Pair::END).then_some(pairs)
    }

    /// Moves to the next pair that differs.
    ///
    /// # Safety
    /// Called within [`unguarded::guarded`].
    unsafe fn advance(&mut self) {
        loop {
            // SAFETY: per contract.
            self.present = unsafe {
                unguarded::check_for_interrupts();
                Pair {
                    old: self.old.advance_unguarded(),
                    new: self.new.advance_unguarded(),
                }
            };
            let has_both = self.present.old && self.present.new;
            // SAFETY: per contract; both have a row then.
            if !has_both || unsafe { self.differ() } {
                return;
            }
        }
    }

    /// Whether the current rows differ in a compared column.
    ///
    /// # Safety
    /// Called within [`unguarded::guarded`], with a present row in both tables.
    unsafe fn differ(&mut self) -> bool {
        // SAFETY: per contract.
        let (before, after) = unsafe {
            (
                self.old.row_unguarded(self.width),
                self.new.row_unguarded(self.width),
            )
        };
        // SAFETY: per contract.
        let differ = |at, ty| unsafe { differ_at(at, ty, before, after) };
        self.compared.iter().any(|&(at, ty)| differ(at, ty))
    }
}

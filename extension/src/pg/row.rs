//! Rows as the server takes them: values, and for each whether it is NULL.

use pgrx::pg_sys;

/// Values and null flags of a row, one of each per column.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    /// Values; of a NULL any.
    pub values: &'r [pg_sys::Datum],
    /// Whether each is NULL.
    pub nulls: &'r [bool],
}

impl<'r> Row<'r> {
    /// A row without columns.
    pub const EMPTY: Row<'static> = Row {
        values: &[],
        nulls: &[],
    };

    /// The value of a column, and whether it is NULL.
    pub fn get(self, at: usize) -> Option<(pg_sys::Datum, bool)> {
        Some((*self.values.get(at)?, *self.nulls.get(at)?))
    }

    /// All columns.
    pub fn columns(self) -> impl Iterator<Item = (pg_sys::Datum, bool)> {
        self.values.iter().copied().zip(self.nulls.iter().copied())
    }

    /// The value of a column, and whether it is NULL; NULL where there is no such column.
    pub fn get_or_null(self, at: usize) -> (pg_sys::Datum, bool) {
        self.get(at).unwrap_or((pg_sys::Datum::from(0), true))
    }

    /// All columns but the last one, which is a weight for instance.
    pub fn without_last(self) -> Self {
        let width = self.values.len().saturating_sub(1);
        self.part(0, width).unwrap_or(Row::EMPTY)
    }

    /// `len` columns from a position on; `None` if it has fewer.
    pub fn part(self, at: usize, len: usize) -> Option<Self> {
        Some(Row {
            values: self.values.get(at..at + len)?,
            nulls: self.nulls.get(at..at + len)?,
        })
    }
}

/// A row under construction. What its values point to is the business of who makes it.
#[derive(Debug, Clone, Default)]
pub struct OwnedRow {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl OwnedRow {
    /// A copy.
    pub fn of(row: Row<'_>) -> Self {
        OwnedRow {
            values: row.values.to_vec(),
            nulls: row.nulls.to_vec(),
        }
    }

    /// These values, with the null flags of the row that they come from.
    pub fn with_nulls(values: Vec<pg_sys::Datum>, nulls: &[bool]) -> Self {
        debug_assert_eq!(values.len(), nulls.len());
        OwnedRow {
            values,
            nulls: nulls.to_vec(),
        }
    }

    /// The columns of a row at these positions, as far as it has them.
    pub fn columns_of(row: Row<'_>, positions: &[usize]) -> Self {
        let (values, nulls) = positions.iter().filter_map(|at| row.get(*at)).unzip();
        OwnedRow { values, nulls }
    }

    /// A row of NULLs.
    pub fn blank(width: usize) -> Self {
        OwnedRow {
            values: vec![pg_sys::Datum::from(0); width],
            nulls: vec![true; width],
        }
    }

    /// Gives a column, if there is one at the position, a value that is not NULL.
    pub fn set(&mut self, at: usize, value: impl Into<pg_sys::Datum>) {
        if let (Some(place), Some(is_null)) = (self.values.get_mut(at), self.nulls.get_mut(at)) {
            (*place, *is_null) = (value.into(), false);
        }
    }

    /// All columns, to be changed.
    pub fn columns_mut(&mut self) -> impl Iterator<Item = (&mut pg_sys::Datum, &mut bool)> {
        self.values.iter_mut().zip(&mut self.nulls)
    }

    /// As it is read.
    pub fn row(&self) -> Row<'_> {
        Row {
            values: &self.values,
            nulls: &self.nulls,
        }
    }

    /// Removes all columns.
    pub fn clear(&mut self) {
        self.values.clear();
        self.nulls.clear();
    }

    /// Appends a column.
    pub fn push(&mut self, value: impl Into<pg_sys::Datum>) {
        self.values.push(value.into());
        self.nulls.push(false);
    }

    /// Appends a column that is NULL.
    pub fn push_null(&mut self) {
        self.values.push(pg_sys::Datum::from(0));
        self.nulls.push(true);
    }

    /// Appends the columns of a row.
    pub fn extend(&mut self, row: Row<'_>) {
        self.values.extend_from_slice(row.values);
        self.nulls.extend_from_slice(row.nulls);
    }
}

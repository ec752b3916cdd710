//! Rows as the server takes them: values, and for each whether it is NULL.

use pgrx::pg_sys;

/// Values and null flags of a row.
pub type Row<'r> = (&'r [pg_sys::Datum], &'r [bool]);

/// The columns of a row from a position on; `None` if it has fewer.
pub fn part(row: Row<'_>, at: usize, len: usize) -> Option<Row<'_>> {
    Some((row.0.get(at..at + len)?, row.1.get(at..at + len)?))
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
            values: row.0.to_vec(),
            nulls: row.1.to_vec(),
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
        let picked = positions
            .iter()
            .filter_map(|at| Some((*row.0.get(*at)?, *row.1.get(*at)?)));
        let (values, nulls) = picked.unzip();
        OwnedRow { values, nulls }
    }

    /// As it is read.
    pub fn row(&self) -> Row<'_> {
        (&self.values, &self.nulls)
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
        self.values.extend_from_slice(row.0);
        self.nulls.extend_from_slice(row.1);
    }
}

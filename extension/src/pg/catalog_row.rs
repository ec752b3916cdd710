//! Rows of catalog tables, to be read, and values to be stored in them.

use pgrx::{FromDatum, IntoDatum, pg_sys};

use crate::error::{Error, Result};

/// One row, deformed. Valid inside the callback that receives it.
pub struct Row {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    place: pg_sys::ItemPointerData,
}

impl Row {
    /// Takes a tuple apart.
    ///
    /// # Safety
    /// The tuple is valid and of the relation.
    pub(super) unsafe fn of(tuple: pg_sys::HeapTuple, relation: pg_sys::Relation) -> Self {
        // SAFETY: per contract; the arrays have an entry for each column.
        unsafe {
            let descriptor = (*relation).rd_att;
            let natts = usize::try_from((*descriptor).natts).unwrap_or(0);
            let mut row = Row {
                values: vec![pg_sys::Datum::from(0); natts],
                nulls: vec![true; natts],
                place: (*tuple).t_self,
            };
            pg_sys::heap_deform_tuple(
                tuple,
                descriptor,
                row.values.as_mut_ptr(),
                row.nulls.as_mut_ptr(),
            );
            row
        }
    }

    /// Where this version of the row is, for [`super::catalog_table::CatalogTable::at`].
    pub fn place(&self) -> pg_sys::ItemPointerData {
        self.place
    }

    /// The value of the column with this attribute number, copied; `None` when it is NULL.
    pub fn get<T: FromDatum>(&self, attnum: usize) -> Option<T> {
        let value = *self.values.get(attnum.checked_sub(1)?)?;
        let is_null = *self.nulls.get(attnum - 1)?;
        // SAFETY: the datum comes from a tuple whose column has the type that the caller's row
        // type declares.
        unsafe { T::from_datum(value, is_null) }
    }

    /// Like [`Row::get`] for a NOT NULL column.
    pub fn require<T: FromDatum>(&self, attnum: usize) -> Result<T> {
        self.get(attnum)
            .ok_or_else(|| Error::Internal(format!("column {attnum} of a catalog row is null")))
    }

    /// The column's value as the text that the type's output function prints.
    pub fn text(&self, attnum: usize, output: TextForm) -> Option<String> {
        let value = *self.values.get(attnum.checked_sub(1)?)?;
        if *self.nulls.get(attnum - 1)? {
            return None;
        }
        let function = match output {
            TextForm::Snapshot => pg_sys::pg_snapshot_out,
        };
        // SAFETY: the output function of the column's type; it returns a C string.
        unsafe {
            pgrx::direct_function_call::<&std::ffi::CStr>(function, &[Some(value)])
                .map(|text| text.to_string_lossy().into_owned())
        }
    }
}

/// Types that are read and written as text.
#[derive(Debug, Clone, Copy)]
pub enum TextForm {
    /// `pg_snapshot`.
    Snapshot,
}

/// A value to store.
pub struct Value(pub(super) Option<pg_sys::Datum>);

impl Value {
    /// NULL.
    pub fn null() -> Self {
        Value(None)
    }

    /// A value of the column's type; `None` stores NULL.
    pub fn of<T: IntoDatum>(value: T) -> Self {
        Value(value.into_datum())
    }

    /// A `pg_lsn`.
    pub fn lsn(position: u64) -> Self {
        Value(Some(pg_sys::Datum::from(position)))
    }

    /// A value through the input function of its type.
    pub fn parse(text: &str, input: TextForm) -> Result<Self> {
        let text = std::ffi::CString::new(text)
            .map_err(|_| Error::Internal("a stored text contains a zero byte".into()))?;
        let function = match input {
            TextForm::Snapshot => pg_sys::pg_snapshot_in,
        };
        // SAFETY: the input function of the column's type on a C string.
        let datum = unsafe {
            pgrx::direct_function_call_as_datum(
                function,
                &[Some(pg_sys::Datum::from(text.as_ptr()))],
            )
        };
        Ok(Value(datum))
    }
}

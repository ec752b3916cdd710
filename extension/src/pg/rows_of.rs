//! Values from the rows of a query, by SPI.

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::{SpiHeapTupleData, SpiTupleTable};

use crate::error::{Error, Result};

/// What `read` makes of each row that the active snapshot shows; `None` leaves it out.
pub fn rows<T>(
    sql: &str,
    arguments: &[DatumWithOid<'_>],
    read: impl Fn(&SpiHeapTupleData<'_>) -> spi::Result<Option<T>>,
) -> Result<Vec<T>> {
    Spi::connect(|client| collect(client.select(sql, None, arguments)?, read)).map_err(internal)
}

/// The first column of each such row, where it is not NULL.
pub fn column<T: FromDatum + IntoDatum>(
    sql: &str,
    arguments: &[DatumWithOid<'_>],
) -> Result<Vec<T>> {
    rows(sql, arguments, |row| row.get(1))
}

/// As [`rows`], with what has just been made or locked, which is younger than the active snapshot.
pub fn latest_rows<T>(
    sql: &str,
    arguments: &[DatumWithOid<'_>],
    read: impl Fn(&SpiHeapTupleData<'_>) -> spi::Result<Option<T>>,
) -> Result<Vec<T>> {
    Spi::connect_mut(|client| collect(client.update(sql, None, arguments)?, read)).map_err(internal)
}

/// As [`column`], with what has just been made or locked.
pub fn latest_column<T: FromDatum + IntoDatum>(
    sql: &str,
    arguments: &[DatumWithOid<'_>],
) -> Result<Vec<T>> {
    latest_rows(sql, arguments, |row| row.get(1))
}

fn collect<T>(
    table: SpiTupleTable<'_>,
    read: impl Fn(&SpiHeapTupleData<'_>) -> spi::Result<Option<T>>,
) -> spi::Result<Vec<T>> {
    table.filter_map(|row| read(&row).transpose()).collect()
}

fn internal(error: spi::Error) -> Error {
    Error::Internal(error.to_string())
}

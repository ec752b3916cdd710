//! Whether the catalog has the version of this library. Between the installation of new files and
//! `ALTER EXTENSION … UPDATE` it has not: capture and IMMEDIATE stream tables continue, everything else waits.
//!
//! A session checks once, and again whenever definitions change, which every update script announces.

use super::definitions::{Known, renew};
use crate::error::{Error, Result};
use crate::pg::{cluster, database, extension};

/// The version of this library.
pub const LIBRARY: &str = env!("CARGO_PKG_VERSION");

thread_local! {
    /// Whether the catalog is known to be of this version.
    static IS_CURRENT: Known<bool> = Known::default();
}

/// Refuses a catalog of another version.
pub fn require_current() -> Result<()> {
    renew(&IS_CURRENT)?;
    if IS_CURRENT.with_borrow(|(_, is_current)| *is_current) {
        return Ok(());
    }
    let catalog = extension::version(c"pg_trickle").unwrap_or_default();
    if catalog != LIBRARY {
        let database = database::name(cluster::database()).unwrap_or_default();
        return Err(Error::NotUpdated {
            database,
            catalog,
            library: LIBRARY,
        });
    }
    IS_CURRENT.with_borrow_mut(|(_, is_current)| *is_current = true);
    Ok(())
}

/// Whether the catalog is of this version.
pub fn is_current() -> Result<bool> {
    match require_current() {
        Ok(()) => Ok(true),
        Err(Error::NotUpdated { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

//! Running the extension's own DDL.

use pgrx::prelude::*;

use super::user::OwnerContext;
use crate::error::{Error, Result};

/// Runs one statement, built from quoted names only, as the extension's owner.
pub fn run_as_extension_owner(sql: &str) -> Result<()> {
    let _owner = OwnerContext::extension_owner()?;
    run(sql)
}

/// Runs one statement with the caller's rights.
pub fn run(sql: &str) -> Result<()> {
    Spi::run(sql).map_err(|error| Error::Internal(format!("{error} in {sql}")))
}

//! Running the extension's own DDL.

use std::ffi::CStr;

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

/// Fails on a standby and in a read-only transaction, as a command of this name does.
pub fn require_writes(command: &CStr) {
    // SAFETY: a NUL-terminated string, which the message is made of.
    unsafe {
        pg_sys::PreventCommandDuringRecovery(command.as_ptr());
        pg_sys::PreventCommandIfReadOnly(command.as_ptr());
    }
}

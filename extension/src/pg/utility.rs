//! Running the extension's own DDL.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::PgTryBuilder;
use pgrx::prelude::*;

use super::caught::Caught;
use super::user::OwnerContext;
use crate::error::{Error, Result};

/// Runs one statement, built from quoted names only, as the extension's owner.
pub fn run_as_extension_owner(sql: &str) -> Result<()> {
    let _owner = OwnerContext::extension_owner()?;
    run(sql)
}

/// Runs one statement with the caller's rights. Its errors do not show it, which users have not written.
pub fn run(sql: &str) -> Result<()> {
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| Ok(Spi::run(sql))))
        .catch_others(|error| Err(Box::new(Caught::of_statement(error, sql))))
        .execute();
    match outcome {
        Ok(done) => done.map_err(|error| Error::Internal(format!("{error} in {sql}"))),
        Err(caught) => caught.throw(),
    }
}

/// Fails on a standby and in a read-only transaction, as a command of this name does.
pub fn require_writes(command: &CStr) {
    // SAFETY: a NUL-terminated string, which the message is made of.
    unsafe {
        pg_sys::PreventCommandDuringRecovery(command.as_ptr());
        pg_sys::PreventCommandIfReadOnly(command.as_ptr());
    }
}

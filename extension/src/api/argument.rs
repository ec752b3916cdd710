//! Checks that the functions share.

use std::time::SystemTime;

use pgtrickle_dvm::schedule::{Schedule, next_match};

use crate::catalog::{self, StreamTable};
use crate::error::{Error, Result};
use crate::pg::acl;

/// The value of an argument that must not be NULL.
pub fn required<'a>(value: Option<&'a str>, name: &'static str) -> Result<&'a str> {
    value.ok_or(Error::NullArgument(name))
}

/// A schedule as it will be stored.
pub fn schedule(text: &str) -> Result<&str> {
    let text = text.trim();
    let refused = |reason: &str| Error::BadSchedule {
        text: text.to_owned(),
        reason: reason.to_owned(),
    };
    match text.parse() {
        Ok(Schedule::Cron(cron)) if next_match(&cron, SystemTime::now(), "UTC").is_none() => {
            Err(refused("It never matches."))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(refused(&error.to_string())),
    }
}

/// The named stream table, which the caller must own.
pub fn owned(name: Option<&str>) -> Result<StreamTable> {
    let table = catalog::by_name(required(name, "name")?)?;
    if acl::owns_relation(table.relid) {
        Ok(table)
    } else {
        Err(Error::NotOwner(table.plain_name()))
    }
}

/// The id of the named stream table, which the caller must own or be allowed to maintain.
pub fn maintained(name: Option<&str>) -> Result<i64> {
    let name = required(name, "name")?;
    let (pgt_id, relid) = catalog::id_by_name(name)?;
    if acl::owns_relation(relid) || acl::may_maintain(relid) {
        Ok(pgt_id)
    } else {
        Err(Error::NotOwner(catalog::by_name(name)?.plain_name()))
    }
}

/// The named stream table, which the caller must be allowed to read.
pub fn readable(name: Option<&str>) -> Result<StreamTable> {
    let table = catalog::by_name(required(name, "name")?)?;
    if acl::owns_relation(table.relid) || acl::may_read(table.relid) {
        Ok(table)
    } else {
        Err(Error::ReadDenied(table.plain_name()))
    }
}

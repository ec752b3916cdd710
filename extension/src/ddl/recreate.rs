//! Giving a stream table a query with other columns: it is dropped and recreated with all declarations on
//! it. A declaration that cannot be repeated prevents this.

use std::collections::BTreeMap;

use pgrx::pg_sys;

use crate::catalog::{RequestedMode, StreamTable};
use crate::error::{Error, Result};
use crate::pg::table::TableFacts;
use crate::pg::{depend, name, report, user};
use crate::{catalog, refresh};

use super::columns::Column;
use super::definition::Definition;
use super::kept::{self, Kept};
use super::rebuild::rebuild;
use super::{create, owner, remove};

/// What is to come of a stream table.
#[derive(Debug)]
pub struct Replacement<'a> {
    /// Text of the query.
    pub query: &'a str,
    /// Schedule, already checked.
    pub schedule: &'a str,
    /// Refresh mode.
    pub mode: RequestedMode,
    /// The query's columns.
    pub columns: &'a [Column],
    /// Their first difference from those that are.
    pub difference: &'a str,
}

/// Replaces the stream table. Owner, status, whether it is filled, and what users have declared on it stay.
pub fn recreate(table: &StreamTable, new: &Replacement<'_>) -> Result<()> {
    let plain_name = table.plain_name();
    let vanished = || Error::UnknownStreamTable(plain_name.clone());
    let qualified = table.qualified_name();
    let kept = kept(table, &qualified, new.columns)?;
    let owner = depend::owner_of(table.relid).ok_or_else(vanished)?;
    let is_owner = owner == user::current();
    remove::drop(table, false)?;
    create::create(&Definition {
        name: &qualified,
        query: new.query,
        schedule: new.schedule,
        mode: new.mode,
        initialize: is_owner && table.is_populated,
        may_spread: false,
        distribution_column: None,
        settings: table.settings.clone(),
    })?;
    let relid = name::find_relation(&qualified)?.ok_or_else(vanished)?;
    let created = catalog::load_by_relid(relid)?.ok_or_else(vanished)?;
    if !is_owner {
        depend::change_owner(relid, owner);
        owner::sync(&created)?;
        rebuild(created.pgt_id, new.mode)?;
        if table.is_populated {
            refresh::run(created.pgt_id, refresh::Request::default())?;
        }
    }
    kept.declare(relid, owner)?;
    catalog::set_status(created.pgt_id, table.status)?;
    report::notice(
        &format!("stream table \"{plain_name}\" has been dropped and recreated"),
        Some(new.difference),
        Some("Its indexes, constraints and other declarations have been recreated."),
    );
    Ok(())
}

/// What was declared on the table, if all of it can be declared on one with these columns. A column is the same if
/// it has the name that users see, which may be another than the query's.
fn kept(table: &StreamTable, qualified: &str, columns: &[Column]) -> Result<Kept> {
    let facts = TableFacts::load(table.relid).ok_or(Error::Vanished)?;
    let known: BTreeMap<&str, pg_sys::Oid> = columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind.0))
        .collect();
    let (stay, go): (Vec<_>, Vec<_>) = facts
        .attributes
        .iter()
        .partition(|column| known.contains_key(column.name.as_str()));
    let stay = stay.iter().map(|column| column.name.clone()).collect();
    let go = go.iter().map(|column| i32::from(column.attnum)).collect();
    kept::of(table.relid, qualified, stay, go)
}

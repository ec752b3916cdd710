//! Giving a stream table a query with other columns: it is dropped and created again, unless
//! something depends on it. What was granted on it and its indexes go with it.

use crate::catalog::{RequestedMode, StreamTable};
use crate::error::{Error, Result};
use crate::pg::{depend, name, report, user};
use crate::{catalog, refresh};

use super::create::Definition;
use super::{alter, create, owner, remove};

/// Replaces the stream table by one with this query. Owner, status and whether it is filled stay.
pub fn recreate(
    table: &StreamTable,
    query: &str,
    schedule: &str,
    mode: RequestedMode,
    difference: &str,
) -> Result<()> {
    let plain_name = table.plain_name();
    let vanished = || Error::UnknownStreamTable(plain_name.clone());
    if depend::has_dependents(table.relid) {
        return Err(Error::ColumnsDiffer {
            name: plain_name,
            difference: difference.to_owned(),
        });
    }
    let qualified = table.qualified_name();
    let owner = depend::owner_of(table.relid).ok_or_else(vanished)?;
    let is_owner = owner == user::current();
    remove::drop(table, false)?;
    create::create(&Definition {
        name: &qualified,
        query,
        schedule,
        mode,
        initialize: is_owner && table.is_populated,
        settings: table.settings.clone(),
    })?;
    let relid = name::find_relation(&qualified)?.ok_or_else(vanished)?;
    let new = catalog::load_by_relid(relid)?.ok_or_else(vanished)?;
    if !is_owner {
        depend::change_owner(relid, owner);
        owner::sync(&new)?;
        alter::rebuild(new.pgt_id, mode)?;
        if table.is_populated {
            refresh::run(new.pgt_id, refresh::Request::default())?;
        }
    }
    catalog::set_status(new.pgt_id, table.status)?;
    report::notice(
        &format!("stream table \"{plain_name}\" has been dropped and created anew"),
        Some(difference),
        Some("Its indexes, comments and what was granted on it are lost."),
    );
    Ok(())
}

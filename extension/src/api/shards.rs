//! What the coordinator of a cluster asks of the nodes that have shards of a stream table.

use pgrx::prelude::*;

use super::{argument, change};
use crate::ddl::shards::{self, Definition};
use crate::error::{Error, Result, SpreadError};
use crate::pg::settings::Settings;
use crate::pg::{acl, name};
use crate::refresh::Task;

/// Has the shards of a distributed stream table that are on this node follow their sources. The coordinator calls it.
#[pg_extern(schema = "pgtrickle")]
fn maintain_shards(
    name: Option<&str>,
    query: Option<&str>,
    schedule: Option<&str>,
    status: Option<&str>,
    settings: Option<Vec<String>>,
    task: Option<&str>,
) -> String {
    change(c"maintain_shards()", || {
        let definition = Definition {
            query: argument::required(query, "query")?,
            schedule: argument::schedule(argument::required(schedule, "schedule")?)?,
            status: argument::required(status, "status")?.parse()?,
            settings: Settings::from_items(&settings.unwrap_or_default()),
        };
        maintain(
            argument::required(name, "name")?,
            &definition,
            argument::required(task, "task")?,
        )
    })
}

fn maintain(table: &str, definition: &Definition<'_>, task: &str) -> Result<String> {
    let unknown = || Error::UnknownStreamTable(table.to_owned());
    let relation = name::find_relation(table)?.ok_or_else(unknown)?;
    if !acl::owns_relation(relation) && !acl::may_maintain(relation) {
        return Err(Error::NotOwner(table.to_owned()));
    }
    let task = Task::of(task).ok_or_else(|| SpreadError::BadTask(task.to_owned()))?;
    let sum = shards::maintain(relation, definition, task)?;
    Ok(sum.told())
}

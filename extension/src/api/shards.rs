//! Functions that the coordinator of a Citus cluster calls on the nodes with shards of a stream table.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::{answer, argument, change};
use crate::config;
use crate::ddl::nodes;
use crate::ddl::parts::{self, Known};
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
        let definition = definition(query, schedule, status, settings)?;
        maintain(
            argument::required(name, "name")?,
            &definition,
            argument::required(task, "task")?,
        )
    })
}

/// Refreshes this node's parts of a two-step stream table, and returns their changes
/// since the positions `known`. The coordinator calls it.
#[pg_extern(schema = "pgtrickle")]
fn take_part(
    name: Option<&str>,
    query: Option<&str>,
    schedule: Option<&str>,
    status: Option<&str>,
    settings: Option<Vec<String>>,
    task: Option<&str>,
    known: Option<Vec<String>>,
) -> String {
    change(c"take_part()", || {
        let definition = definition(query, schedule, status, settings)?;
        let relation = permitted(argument::required(name, "name")?)?;
        let task = task_of(argument::required(task, "task")?)?;
        config::activate_canary();
        let known: Vec<Known> = (known.unwrap_or_default().iter())
            .filter_map(|text| Known::parse(text))
            .collect();
        parts::take(relation, &definition, task, &known)
    })
}

/// What this node has of a distributed stream table, or of a part of one in two steps. The coordinator calls it.
#[pg_extern(schema = "pgtrickle")]
fn shards_here(name: Option<&str>) -> String {
    answer(|| nodes::here(permitted(argument::required(name, "name")?)?))
}

/// What each node has of the stream tables that nodes keep, or parts of which, and that the caller may read, owns or may
/// monitor. A node that does not answer is among them, with the reason.
#[pg_extern(schema = "pgtrickle")]
fn node_status() -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(node, String),
        name!(shards, Option<i64>),
        name!(is_populated, Option<bool>),
        name!(data_timestamp, Option<TimestampWithTimeZone>),
        name!(pending_rows, Option<i64>),
        name!(error, Option<String>),
    ),
> {
    TableIterator::new(answer(status_of_nodes))
}

type NodeRow = (
    String,
    String,
    Option<i64>,
    Option<bool>,
    Option<TimestampWithTimeZone>,
    Option<i64>,
    Option<String>,
);

fn status_of_nodes() -> Result<Vec<NodeRow>> {
    let mut rows = Vec::new();
    for table in nodes::of_nodes()? {
        let owns = acl::owns_relation(table.relid) || acl::may_monitor();
        if !owns && !acl::may_read(table.relid) {
            continue;
        }
        for held in nodes::held(&table)? {
            // What went wrong may show data.
            let error = match held.shards {
                Some(_) if !owns => None,
                _ => held.error,
            };
            rows.push((
                held.table,
                held.node,
                held.shards,
                held.is_populated,
                held.data_timestamp,
                held.pending_rows,
                error,
            ));
        }
    }
    Ok(rows)
}

fn definition<'a>(
    query: Option<&'a str>,
    schedule: Option<&'a str>,
    status: Option<&str>,
    settings: Option<Vec<String>>,
) -> Result<Definition<'a>> {
    Ok(Definition {
        query: argument::required(query, "query")?,
        schedule: argument::schedule(argument::required(schedule, "schedule")?)?,
        status: argument::required(status, "status")?.parse()?,
        settings: Settings::from_items(&settings.unwrap_or_default()),
    })
}

/// The table of this name, if the caller may have it maintained.
fn permitted(table: &str) -> Result<pg_sys::Oid> {
    let unknown = || Error::UnknownStreamTable(table.to_owned());
    let relation = name::find_relation(table)?.ok_or_else(unknown)?;
    match acl::owns_relation(relation) || acl::may_maintain(relation) {
        true => Ok(relation),
        false => Err(Error::NotOwner(table.to_owned())),
    }
}

fn task_of(name: &str) -> Result<Task> {
    Task::of(name).ok_or_else(|| SpreadError::BadTask(name.to_owned()).into())
}

fn maintain(table: &str, definition: &Definition<'_>, task: &str) -> Result<String> {
    let relation = permitted(table)?;
    config::activate_canary();
    let sum = shards::maintain(relation, definition, task_of(task)?)?;
    Ok(sum.told())
}

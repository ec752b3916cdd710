//! Creating, altering and dropping stream tables.

use pgrx::prelude::*;

use super::refresh::before_update;
use super::{argument, change};
use crate::ddl::alter::Changes;
use crate::ddl::definition::Definition;
use crate::ddl::{alter, convert, create, remove, restore};
use crate::error::{Error, Result};
use crate::pg::name;
use crate::pg::settings::Settings;

/// Creates a stream table.
#[pg_extern(schema = "pgtrickle", name = "create_stream_table")]
fn create_stream_table_and_distribute(
    name: Option<&str>,
    query: Option<&str>,
    schedule: default!(Option<&str>, "'calculated'"),
    refresh_mode: default!(Option<&str>, "'AUTO'"),
    initialize: default!(Option<bool>, "true"),
    output_distribution_column: default!(Option<&str>, "NULL"),
) {
    change(c"create_stream_table()", || {
        let definition = Definition {
            distribution_column: output_distribution_column,
            ..definition(name, query, schedule, refresh_mode, initialize)?
        };
        create::lock_name(&name::new_relation(definition.name)?);
        create::create(&definition)
    });
}

crate::sql_function! {
    /// The same as former versions declare it, without a column for its distribution, which only refuses.
    fn create_stream_table_wrapper, pg_finfo_create_stream_table_wrapper, before_update
}

/// Creates a stream table, or gives the one that is there another query, schedule and mode.
#[pg_extern(schema = "pgtrickle")]
fn create_or_replace_stream_table(
    name: Option<&str>,
    query: Option<&str>,
    schedule: default!(Option<&str>, "'calculated'"),
    refresh_mode: default!(Option<&str>, "'AUTO'"),
    initialize: default!(Option<bool>, "true"),
) {
    change(c"create_or_replace_stream_table()", || {
        definition(name, query, schedule, refresh_mode, initialize)
            .and_then(|definition| create_or_replace(&definition))
    });
}

fn create_or_replace(definition: &Definition) -> Result<()> {
    let target = name::new_relation(definition.name)?;
    create::lock_name(&target);
    if name::relation_in(target.namespace, &target.name)?.is_none() {
        return create::create(definition);
    }
    let table = argument::owned(Some(&target.qualified))?;
    alter::alter(
        &table,
        &Changes {
            query: Some(definition.query),
            schedule: Some(definition.schedule),
            mode: Some(definition.mode),
            status: None,
            settings: &[],
        },
    )
}

fn definition<'a>(
    name: Option<&'a str>,
    query: Option<&'a str>,
    schedule: Option<&'a str>,
    refresh_mode: Option<&str>,
    initialize: Option<bool>,
) -> Result<Definition<'a>> {
    Ok(Definition {
        name: argument::required(name, "name")?,
        query: argument::required(query, "query")?,
        schedule: argument::schedule(schedule.unwrap_or("calculated"))?,
        mode: refresh_mode.unwrap_or("AUTO").parse()?,
        initialize: initialize.unwrap_or(true),
        may_spread: true,
        distribution_column: None,
        settings: Settings::of_session(),
    })
}

/// Changes a stream table; NULL keeps what is there.
#[pg_extern(schema = "pgtrickle", name = "alter_stream_table")]
fn alter_stream_table_and_settings(
    name: Option<&str>,
    query: default!(Option<&str>, "NULL"),
    schedule: default!(Option<&str>, "NULL"),
    refresh_mode: default!(Option<&str>, "NULL"),
    status: default!(Option<&str>, "NULL"),
    settings: default!(Option<Vec<String>>, "NULL"),
) {
    change(c"alter_stream_table()", || {
        let changes = Changes {
            query,
            schedule: schedule.map(argument::schedule).transpose()?,
            mode: refresh_mode.map(str::parse).transpose()?,
            status: status.map(str::parse).transpose()?,
            settings: settings.as_deref().unwrap_or_default(),
        };
        alter::alter(&argument::owned(name)?, &changes)
    });
}

crate::sql_function! {
    /// The same as version 0.1.0 declares it, without settings, which only refuses.
    fn alter_stream_table_wrapper, pg_finfo_alter_stream_table_wrapper, before_update
}

/// Turns a materialized view into a stream table with the same name, columns, indexes, comments, owner and privileges.
#[pg_extern(schema = "pgtrickle")]
fn convert_materialized_view(name: Option<&str>, schedule: default!(Option<&str>, "'calculated'")) {
    change(c"convert_materialized_view()", || {
        let schedule = argument::schedule(schedule.unwrap_or("calculated"))?;
        convert::convert(argument::required(name, "name")?, schedule)
    });
}

/// Drops a stream table.
#[pg_extern(schema = "pgtrickle")]
fn drop_stream_table(name: Option<&str>, cascade: default!(Option<bool>, "false")) {
    change(c"drop_stream_table()", || {
        remove::drop(&argument::owned(name)?, cascade.unwrap_or(false))
    });
}

/// Rebuilds the stream tables that a dump or a copied database has brought.
#[pg_extern(schema = "pgtrickle")]
#[search_path(pg_catalog, pg_temp)]
fn restore_stream_tables() -> i64 {
    change(c"restore_stream_tables()", || {
        if crate::pg::acl::is_superuser() {
            restore::restore().map(|count| count as i64)
        } else {
            Err(Error::NotSuperuser("restore stream tables"))
        }
    })
}

//! The facts that the server gives event triggers: each trigger reads them once, by a prepared statement, since planning
//! would cost more than many commands.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::prelude::*;
use pgrx::spi::OwnedPreparedStatement;

use crate::error::{Error, Result};

/// What a statement has made or altered.
#[derive(Debug, Clone)]
pub struct Command {
    /// The catalog in which it is.
    pub class: pg_sys::Oid,
    /// It.
    pub object: pg_sys::Oid,
    /// The command, which may be a part of the statement.
    pub tag: String,
}

/// A relation, or a trigger that the statement named, that was dropped.
#[derive(Debug, Clone)]
pub struct Dropped {
    /// The catalog in which it was.
    pub class: pg_sys::Oid,
    /// It.
    pub object: pg_sys::Oid,
    /// Whether the statement named it.
    pub is_named: bool,
    /// What it was.
    pub kind: String,
    /// Its schema, its table if it was a trigger, and its name; nothing of what went with others, but for views, and
    /// indexes that did not go with their table.
    pub names: Vec<String>,
}

impl Dropped {
    /// Whether it was a relation.
    pub fn is_relation(&self) -> bool {
        self.class == pg_sys::RelationRelationId
    }
}

const COMMANDS: &str =
    "SELECT classid, objid, command_tag FROM pg_catalog.pg_event_trigger_ddl_commands()";

const DROPPED: &str = "
SELECT classid, objid, original, object_type,
       CASE WHEN original OR object_type OPERATOR(pg_catalog.=) 'view'
                 OR normal AND object_type OPERATOR(pg_catalog.=) 'index' THEN address_names END
FROM pg_catalog.pg_event_trigger_dropped_objects()
WHERE objsubid OPERATOR(pg_catalog.=) 0
  AND (classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
       OR original AND classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_trigger'::pg_catalog.regclass)";

thread_local! {
    static KEPT: RefCell<HashMap<&'static str, OwnedPreparedStatement>> = RefCell::default();
}

/// What the statement that has just ended has made or altered.
pub fn ended() -> Result<Vec<Command>> {
    rows(COMMANDS, |row| {
        Ok(Command {
            class: row.get(1)?.unwrap_or(pg_sys::InvalidOid),
            object: row.get(2)?.unwrap_or(pg_sys::InvalidOid),
            tag: row.get(3)?.unwrap_or_default(),
        })
    })
}

/// The relations that the statement has dropped, and the triggers that it named.
pub fn dropped() -> Result<Vec<Dropped>> {
    rows(DROPPED, |row| {
        Ok(Dropped {
            class: row.get(1)?.unwrap_or(pg_sys::InvalidOid),
            object: row.get(2)?.unwrap_or(pg_sys::InvalidOid),
            is_named: row.get(3)?.unwrap_or(false),
            kind: row.get(4)?.unwrap_or_default(),
            names: row.get(5)?.unwrap_or_default(),
        })
    })
}

fn rows<T>(
    sql: &'static str,
    read: impl Fn(&spi::SpiHeapTupleData<'_>) -> std::result::Result<T, spi::Error>,
) -> Result<Vec<T>> {
    let read = Spi::connect(|client| {
        if !KEPT.with_borrow(|kept| kept.contains_key(sql)) {
            let statement = client.prepare(sql, &[])?.keep();
            KEPT.with_borrow_mut(|kept| kept.insert(sql, statement));
        }
        KEPT.with_borrow(|kept| {
            let Some(statement) = kept.get(sql) else {
                return Ok(Vec::new());
            };
            let mut found = Vec::new();
            for row in client.select(statement, None, &[])? {
                found.push(read(&row)?);
            }
            Ok::<_, spi::Error>(found)
        })
    });
    read.map_err(|error| Error::Internal(error.to_string()))
}

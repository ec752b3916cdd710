//! Which IMMEDIATE stream table follows which table, and whose changes are recorded, from the catalog: read once per
//! session, and again when the definition of any stream table changes. A statement asks several times.
//!
//! The catalog row of an IMMEDIATE stream table changes only under its lock, with an invalidation; so a session that
//! holds the lock has read the current row.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use pgrx::pg_sys;

use crate::catalog::{self, Known, RefreshMode, Status, StreamTable, renew};
use crate::cdc::BufferWriter;
use crate::error::Result;
use crate::pg::invalidation;

/// The stream tables that read a table.
#[derive(Debug, Default)]
pub struct Readers {
    /// All IMMEDIATE ones, also those that do not follow at present.
    pub all: Vec<StreamTable>,
    /// The ids of those that follow.
    pub following: BTreeSet<i64>,
    /// The attribute numbers that one of these reads, ascending.
    pub columns: Vec<i16>,
    /// Whether a stream table in FULL mode reads the table, too.
    pub any_full: bool,
}

/// A stream table that follows, and what it reads.
#[derive(Debug)]
pub struct Follower {
    /// The stream table.
    pub table: StreamTable,
    /// The tables that it reads.
    pub sources: Vec<pg_sys::Oid>,
    /// The stream tables that it reads, directly or through others.
    pub upstream: BTreeSet<i64>,
}

#[derive(Debug, Default)]
struct Graph {
    readers: HashMap<u32, Rc<Readers>>,
    followers: HashMap<i64, Option<Rc<Follower>>>,
    /// Tables without a change buffer, and when that was so.
    without_buffer: HashMap<u32, u64>,
}

thread_local! {
    static GRAPH: Known<Graph> = Known::default();
}

/// Looks it up among what is known, unless that is out of date, or else makes it known.
fn known<T>(
    look_up: impl FnOnce(&Graph) -> Option<T>,
    read: impl FnOnce() -> Result<T>,
    keep: impl FnOnce(&mut Graph, &T),
) -> Result<T> {
    renew(&GRAPH)?;
    if let Some(found) = GRAPH.with_borrow(|(_, graph)| look_up(graph)) {
        return Ok(found);
    }
    let found = read()?;
    GRAPH.with_borrow_mut(|(_, graph)| keep(graph, &found));
    Ok(found)
}

/// The stream tables that read the source.
pub fn readers_of(source: pg_sys::Oid) -> Result<Rc<Readers>> {
    let key = source.to_u32();
    known(
        |graph| graph.readers.get(&key).cloned(),
        || {
            let mut readers = Readers {
                any_full: !catalog::readers_in_full(source)?.is_empty(),
                ..Readers::default()
            };
            let mut columns = BTreeSet::new();
            for reader in catalog::immediate_readers_of(source)? {
                if follows(&reader.table) {
                    readers.following.insert(reader.table.pgt_id);
                    columns.extend(reader.columns);
                }
                readers.all.push(reader.table);
            }
            readers.columns = columns.into_iter().collect();
            Ok(Rc::new(readers))
        },
        |graph, found| {
            graph.readers.insert(key, Rc::clone(found));
        },
    )
}

/// What records the changes of a stream table, which is locked, in its buffer; `None` if it has none.
pub fn buffer_of(table: pg_sys::Oid) -> Result<Option<BufferWriter>> {
    let key = table.to_u32();
    let generation = invalidation::generation();
    known(
        |graph| {
            let at = graph.without_buffer.get(&key).copied()?;
            (!invalidation::any_since(at, &[table])).then_some(None)
        },
        || BufferWriter::open(table),
        |graph, found: &Option<BufferWriter>| {
            if found.is_none() {
                graph.without_buffer.insert(key, generation);
            }
        },
    )
}

/// The stream table with this id; `None` if it does not follow, or is gone.
pub fn follower(id: i64) -> Result<Option<Rc<Follower>>> {
    known(
        |graph| graph.followers.get(&id).cloned(),
        || {
            let Some(table) = catalog::load(id)?.filter(follows) else {
                return Ok(None);
            };
            let dependencies = catalog::dependencies(id)?;
            Ok(Some(Rc::new(Follower {
                table,
                sources: dependencies.iter().map(|d| d.source).collect(),
                upstream: upstream(id)?,
            })))
        },
        |graph, found| {
            graph.followers.insert(id, found.clone());
        },
    )
}

fn upstream(id: i64) -> Result<BTreeSet<i64>> {
    let mut found = BTreeSet::new();
    let mut pending = vec![id];
    while let Some(id) = pending.pop() {
        for dependency in catalog::dependencies(id)? {
            if let Some(table) = catalog::load_by_relid(dependency.source)?
                && found.insert(table.pgt_id)
            {
                pending.push(table.pgt_id);
            }
        }
    }
    Ok(found)
}

/// Whether changes are applied to the stream table: not before it is filled, nor while it is suspended.
pub fn follows(table: &StreamTable) -> bool {
    table.refresh_mode == RefreshMode::Immediate
        && table.is_populated
        && table.status == Status::Active
        && table.require_home().is_ok()
}

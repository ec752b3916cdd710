//! The compiled plans that a session keeps: a stream table's view is read once, and again only after the server
//! invalidates one of its relations.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys;

use crate::catalog::{RefreshMode, StreamTable};
use crate::error::{Obstacle, Result};
use crate::parse;
use crate::pg::invalidation;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::shmem::counters::TEMPLATE_CACHE_STALE_EVICTIONS;

use super::compiled::Compiled;
use super::draft::Draft;
use super::engine_obstacle::not_immediate;
use super::two_steps;

/// A view that cannot be maintained, and why.
#[derive(Debug)]
pub enum Outcome {
    /// It can.
    Compiled(Rc<Compiled>),
    /// It cannot.
    Unsupported(Vec<Obstacle>),
}

/// How many plans a session keeps: those that it used last. The server looks at each kept statement
/// whenever a relation changes.
const KEPT_MAX: usize = 256;
/// How many it keeps of stream tables that it has only created.
const KEPT_OF_CREATED: usize = 16;

struct Cached {
    /// Rises with each use.
    used: u64,
    compiled: Rc<Compiled>,
    relations: Vec<pg_sys::Oid>,
    generation: u64,
}

thread_local! {
    static CACHE: RefCell<HashMap<i64, Cached>> = RefCell::new(HashMap::new());
    static USES: Cell<u64> = const { Cell::new(0) };
}

fn next_use() -> u64 {
    USES.set(USES.get() + 1);
    USES.get()
}

/// Makes room for one more plan. What it forgets is returned, to be dropped when the cache is not in use.
fn make_room(cache: &mut HashMap<i64, Cached>) -> Option<Cached> {
    if cache.len() < KEPT_MAX {
        return None;
    }
    let oldest = cache.iter().min_by_key(|(_, cached)| cached.used);
    let oldest = oldest.map(|(pgt_id, _)| *pgt_id)?;
    cache.remove(&oldest)
}

/// A stream table has been created: its plan is forgotten if there are many, so that a session that
/// creates many does not slow itself down.
pub fn keep_if_few(pgt_id: i64) {
    let forgotten = CACHE.with_borrow_mut(|cache| {
        let are_many = cache.len() > KEPT_OF_CREATED;
        are_many.then(|| cache.remove(&pgt_id))
    });
    drop(forgotten);
}

/// The compiled plan of a stream table.
pub fn get(table: &StreamTable) -> Result<Outcome> {
    let generation = invalidation::generation();
    let known = CACHE.with_borrow_mut(|cache| {
        let cached = cache.get_mut(&table.pgt_id)?;
        let valid = cached.compiled.stream_table == table.relid
            && cached.compiled.is_made_for(&table.settings)
            && !invalidation::any_since(cached.generation, &cached.relations);
        if valid {
            cached.generation = generation;
            cached.used = next_use();
            Some(cached.compiled.clone())
        } else {
            cache.remove(&table.pgt_id);
            TEMPLATE_CACHE_STALE_EVICTIONS.count();
            None
        }
    });
    if let Some(compiled) = known {
        return Ok(Outcome::Compiled(compiled));
    }
    let owner = Relation::open(table.relid, LockMode::AccessShare)?.owner();
    let (mut analysis, rest) = match table.is_in_two_steps() {
        true => two_steps::rest_of(table, owner)?,
        false => (
            parse::analyse_view(table.view, owner, &table.settings)?,
            None,
        ),
    };
    if table.refresh_mode == RefreshMode::Immediate
        && let Some(obstacle) = not_immediate(&analysis)
    {
        return Ok(Outcome::Unsupported(vec![obstacle]));
    }
    Ok(match Draft::of(&mut analysis, generation) {
        Some(Ok(draft)) => Outcome::Compiled(keep(table, Draft { rest, ..draft })?),
        Some(Err(obstacle)) => Outcome::Unsupported(vec![obstacle]),
        None => Outcome::Unsupported(analysis.unsupported.iter().map(Obstacle::from).collect()),
    })
}

/// Makes a draft the stream table's plan; `None` if what it depends on has changed since.
pub fn adopt(table: &StreamTable, draft: Draft) -> Result<Option<Rc<Compiled>>> {
    match invalidation::any_since(draft.generation, &draft.relations) {
        true => Ok(None),
        false => keep(table, draft).map(Some),
    }
}

/// Keeps a plan for the session.
fn keep(table: &StreamTable, draft: Draft) -> Result<Rc<Compiled>> {
    let generation = draft.generation;
    let mut relations = draft.relations.clone();
    let compiled = Rc::new(Compiled::new(table, draft)?);
    // When a child leaves or is dropped, the server only announces the child.
    let children = compiled.tables.iter().flat_map(|t| t.tree.iter());
    relations.extend(children.map(|table| pg_sys::Oid::from(*table)));
    relations.extend(compiled.tables.iter().map(|t| t.oid));
    relations.extend([table.view, table.relid]);
    let forgotten = CACHE.with_borrow_mut(|cache| {
        let forgotten = make_room(cache);
        let cached = Cached {
            used: next_use(),
            compiled: compiled.clone(),
            relations,
            generation,
        };
        (forgotten, cache.insert(table.pgt_id, cached))
    });
    drop(forgotten);
    Ok(compiled)
}

/// Whether this is still the plan of the stream table.
pub fn is_current(table: &StreamTable, compiled: &Rc<Compiled>) -> Result<bool> {
    Ok(match get(table)? {
        Outcome::Compiled(present) => Rc::ptr_eq(&present, compiled),
        Outcome::Unsupported(_) => false,
    })
}

/// Forgets a plan after its state tables were rebuilt.
pub fn forget(pgt_id: i64) {
    CACHE.with_borrow_mut(|cache| cache.remove(&pgt_id));
}

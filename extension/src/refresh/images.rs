//! Subqueries that are computed whole: their rows are compared with those that the last refresh
//! stored, and the difference is a delta like any other. For recursions over joins see [`super::recursion`].
//!
//! Bounds are compared, too, but stored only when the refresh wrote something: if a bound moved over
//! no row, the next comparison can start from the old one.

use std::rc::Rc;

use pgtrickle_dvm::operators::image;
use pgtrickle_dvm::operators::script::{Stage, Statement, script};
use pgtrickle_dvm::plan::{Image, Source};

use crate::catalog::Reason;
use crate::error::Result;
use crate::pg::image::hash128;
use crate::pg::memory::MemoryContext;
use crate::pg::row::Row;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::spi::{Connection, Kept};
use crate::pg::subtransaction::{self, Attempt};
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;

use super::compiled::Compiled;
use super::difference::replace;
use super::inputs::Inputs;
use super::keyed_table::{Counts, Place};
use super::recursion::{self, Outcome};
use super::row_types;
use super::sink::Sink;

/// What a comparison leaves behind beside the deltas.
#[derive(Debug, Default)]
pub struct Compared {
    /// Bounds that have moved, with their new values.
    moved: Vec<(usize, TupleStore)>,
    /// Why a recursion that is maintained by deltas was computed whole.
    pub recomputed: Option<Reason>,
}

/// What computes the subquery.
pub fn statement(compiled: &Compiled, image: &Image, connection: &Connection) -> Result<Rc<Kept>> {
    let kind = (Some(Source::Image(image.id)), Statement::Content);
    let content = |_| image::content(image);
    compiled.statements.get(connection, kind, &[], content)
}

/// The rows of the subquery at the snapshot.
fn compute(compiled: &Compiled, image: &Image, memory: &MemoryContext) -> Result<TupleStore> {
    let connection = Connection::open()?;
    let statement = statement(compiled, image, &connection)?;
    connection.run(&statement, memory.as_ptr())
}

/// Adds to the inputs how images and bounds have changed: those that are polled, and those with a changed
/// source.
pub fn compare(
    compiled: &Compiled,
    inputs: &mut Inputs,
    snapshot: &mut ActiveSnapshot,
    memory: &MemoryContext,
) -> Result<Compared> {
    let mut compared = Compared::default();
    for stage in script(&compiled.plan) {
        let Stage::Image(stage) = stage else {
            continue;
        };
        let image = stage.image;
        if !image.opaque.polled && !stage.reads(|source| inputs.has(source)) {
            continue;
        }
        if let Some(rule) = &image.recursion {
            // A row may be paired with one that is already gone or not yet there; an expression over that
            // pair can fail.
            let run = || recursion::maintain(compiled, stage, rule, inputs, snapshot, memory);
            match subtransaction::attempt_if(Outcome::stays, run)? {
                Attempt::Done(Outcome::Unchanged) => continue,
                Attempt::Done(Outcome::Changed(delta)) => {
                    inputs.insert(stage.source(), delta);
                    continue;
                }
                Attempt::Done(Outcome::TooMuch) => {
                    compared.recomputed = Some(Reason::RecursionLargeChange);
                }
                Attempt::DataException(_) => {
                    compared.recomputed = Some(Reason::RecursionDataException);
                }
            }
        }
        let fresh = compute(compiled, image, memory)?;
        let mut delta = Sink::delta(memory);
        delta.expect(fresh.tuple_desc(), 0..row_types::width(fresh.tuple_desc()))?;
        if image.is_bound {
            if compare_bound(compiled, image, &fresh, &mut delta)? {
                compared.moved.push((image.id, fresh));
            }
        } else {
            let table = compiled.open_image(image)?;
            let mut hear = |row: Row<'_>, weight| delta.weigh(row, weight);
            let counts = replace(table, fresh, Some(&mut hear))?;
            if counts != Counts::default() {
                snapshot.show_own_writes();
            }
        }
        if let Some(store) = delta.into_store() {
            inputs.insert(stage.source(), store);
        }
    }
    Ok(compared)
}

/// Whether the bound has moved; its old and its new value go to the delta.
fn compare_bound(
    compiled: &Compiled,
    image: &Image,
    fresh: &TupleStore,
    delta: &mut Sink,
) -> Result<bool> {
    let mut table = compiled.open_image(image)?;
    let columns = attributes(table.tuple_desc());
    let mut rows = fresh.scan();
    let Some(new) = rows.next() else {
        return Ok(false);
    };
    let new = new.row();
    if let Some(old) = table.find(Row::EMPTY) {
        let old = old.row();
        if hash128(old, columns) == hash128(new, columns) {
            return Ok(false);
        }
        delta.remove(old)?;
    }
    delta.put(Row::EMPTY, Place::Unknown, new, true)?;
    table.finish()?;
    Ok(true)
}

impl Compared {
    /// Keeps the new values of bounds.
    pub fn keep(self, compiled: &Compiled) -> Result<()> {
        for (id, fresh) in self.moved {
            if let Some(image) = compiled.plan.images.get(id) {
                let table = compiled.open_image(image)?;
                replace(table, fresh, None)?;
            }
        }
        Ok(())
    }
}

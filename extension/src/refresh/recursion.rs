//! Recursions maintained by deltas, round by round. The algebra is that of [`pgtrickle_dvm::operators::recursion`]:
//! statements compute the derived rows, images show which are new.
//!
//! Memory: O(rows that change or lose a derivation).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pgrx::pg_sys;
use pgtrickle_dvm::operators::script::{ImageStage, Statement};
use pgtrickle_dvm::plan::{Image, Recursion, Source};
use pgtrickle_dvm::sql::names::{self, TOUCHED, WEIGHT};
use pgtrickle_dvm::weight::Weight;

use crate::cdc::weighted::{self, WeightColumn};
use crate::error::{Error, Result};
use crate::pg::memory::MemoryContext;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::spi::{Connection, Kept};
use crate::pg::tupdesc::{OwnTupleDesc, attributes};
use crate::pg::tuplestore::TupleStore;

use super::compiled::Compiled;
use super::delta_set::DeltaSet;
use super::inputs::Inputs;
use super::row_types;

/// Deltas by the relation that they are of.
type Deltas<'a> = Vec<(Source, &'a TupleStore)>;

/// What came of following a change.
#[derive(Debug)]
pub enum Outcome {
    /// No row came or went.
    Unchanged,
    /// The image is at the snapshot; this is how it changed.
    Changed(TupleStore),
    /// The whole is cheaper to compute. What was written must be undone.
    TooMuch,
}

impl Outcome {
    /// Whether what was written is right.
    pub fn stays(&self) -> bool {
        !matches!(self, Outcome::TooMuch)
    }
}

/// Up to this many rows are always maintained incrementally.
const FOLLOWED_MIN: u64 = 1000;

/// Beyond, this part of the image: a row that is followed costs several times one that is computed.
const FOLLOWED_PART: u64 = 8;

/// What a round costs beside its rows.
const ROUND_ROWS: u64 = 4;

/// Brings the rows of the recursion to the snapshot.
pub fn maintain(
    compiled: &Compiled,
    stage: ImageStage<'_>,
    rule: &Recursion,
    inputs: &Inputs,
    snapshot: &mut ActiveSnapshot,
    memory: &MemoryContext,
) -> Result<Outcome> {
    let mut tables = rule.seed.sources();
    tables.extend(rule.step.sources());
    let all = inputs.of(&tables);
    if all.is_empty() {
        return Ok(Outcome::Unchanged);
    }
    let mut run = Run {
        compiled,
        stage,
        image: stage.image,
        rule,
        snapshot,
        memory,
        desc: row_type(compiled, stage.image, memory)?,
        spent: 0,
        limit: None,
    };
    let (gone, came) = (run.part(&all, -1)?, run.part(&all, 1)?);
    let (gone, came) = (references(&gone), references(&came));
    let delta = match rule.distinct {
        true => run.delete_and_rederive(&gone, &came)?,
        false => run.count_derivations(&all, &gone, &came)?,
    };
    Ok(match delta {
        None => Outcome::TooMuch,
        Some(delta) if delta.is_empty() => Outcome::Unchanged,
        Some(delta) => Outcome::Changed(run.store(&delta)?),
    })
}

/// Everything that the rounds read.
struct Run<'a> {
    compiled: &'a Compiled,
    stage: ImageStage<'a>,
    image: &'a Image,
    rule: &'a Recursion,
    snapshot: &'a mut ActiveSnapshot,
    memory: &'a MemoryContext,
    /// The image's columns and a weight.
    desc: OwnTupleDesc,
    /// Rows followed so far.
    spent: u64,
    /// How many may be.
    limit: Option<u64>,
}

/// The result of rounds, unless they came to too much.
type Bounded = Result<Option<DeltaSet>>;

impl Run<'_> {
    /// UNION ALL.
    fn count_derivations(
        &mut self,
        all: &Deltas<'_>,
        gone: &Deltas<'_>,
        came: &Deltas<'_>,
    ) -> Bounded {
        let mut delta = self.none();
        if !gone.is_empty() {
            let mut lost = self.derived(all)?;
            lost.subtract(self.derived(came)?);
            delta = match self.rounds(lost, came)? {
                Some(lost) => lost,
                None => return Ok(None),
            };
            self.apply(&delta)?;
        }
        let found = self.derived(came)?;
        let Some(found) = self.rounds(found, &Vec::new())? else {
            return Ok(None);
        };
        self.apply(&found)?;
        delta.add(found);
        Ok(Some(delta))
    }

    /// UNION.
    fn delete_and_rederive(&mut self, gone: &Deltas<'_>, came: &Deltas<'_>) -> Bounded {
        let first = self.derived(gone)?;
        let Some(mut delta) = self.rounds_among(first, -Weight::ONE)? else {
            return Ok(None);
        };
        self.apply(&delta)?;
        let mut first = self.derived(came)?;
        first.add(self.rederived(&delta)?);
        let Some(found) = self.rounds_among(first, Weight::ONE)? else {
            return Ok(None);
        };
        self.apply(&found)?;
        delta.add(found);
        Ok(Some(delta))
    }

    /// What can be reached from these rows, among those that are in the image (weight −1) or not (1).
    fn rounds_among(&mut self, first: DeltaSet, weight: Weight) -> Bounded {
        let mut table = self.compiled.open_recursion(self.image)?;
        let mut total = self.none();
        let mut round = first;
        loop {
            round.retain_as(weight, |hash, row| {
                !total.contains(hash) && table.find(row).is_some() == (weight < Weight::ZERO)
            });
            if round.is_empty() {
                return Ok(Some(total));
            }
            if self.is_too_much(&round)? {
                return Ok(None);
            }
            let next = self.round(&round, &Vec::new())?;
            total.add(std::mem::replace(&mut round, next));
        }
    }

    /// The sum of what these rows derive in any number of steps over tables to which nothing came.
    fn rounds(&mut self, first: DeltaSet, came: &Deltas<'_>) -> Bounded {
        let mut total = self.none();
        let mut round = first;
        while !round.is_empty() {
            if self.is_too_much(&round)? {
                return Ok(None);
            }
            let next = self.round(&round, came)?;
            total.add(std::mem::replace(&mut round, next));
        }
        Ok(Some(total))
    }

    /// Whether the whole is cheaper than one more round of these rows.
    fn is_too_much(&mut self, round: &DeltaSet) -> Result<bool> {
        self.spent += round.rows().count() as u64 + ROUND_ROWS;
        if self.spent <= FOLLOWED_MIN {
            return Ok(false);
        }
        let limit = match self.limit {
            Some(limit) => limit,
            None => {
                let mut rows = 0;
                let table = self.compiled.open_recursion(self.image)?;
                table.visit_all(&mut |_, _| rows += 1);
                *self.limit.insert(rows / FOLLOWED_PART)
            }
        };
        Ok(self.spent > limit)
    }

    /// What these rows derive in one step.
    fn round(&self, rows: &DeltaSet, came: &Deltas<'_>) -> Result<DeltaSet> {
        pgrx::check_for_interrupts!();
        let store = self.store(rows)?;
        let step = self.rule.step.sources();
        let mut deltas: Deltas<'_> = came.clone();
        deltas.retain(|(source, _)| step.contains(source));
        let came: BTreeSet<Source> = deltas.iter().map(|(source, _)| *source).collect();
        deltas.push((self.stage.source(), &store));
        self.run(Statement::Round, &deltas, &came)
    }

    /// What these deltas of tables derive in one step.
    fn derived(&self, deltas: &Deltas<'_>) -> Result<DeltaSet> {
        if deltas.is_empty() {
            return Ok(self.none());
        }
        let changed = deltas.iter().map(|(source, _)| *source).collect();
        self.run(Statement::Derived, deltas, &changed)
    }

    /// Which of these rows, which are not in the image, are derived by those that are.
    fn rederived(&self, lost: &DeltaSet) -> Result<DeltaSet> {
        let mut again = self.none();
        for (null_columns, rows) in self.by_null_columns(lost)? {
            let connection = Connection::open()?;
            connection.register(TOUCHED, &rows)?;
            let size = [(self.stage.source(), rows.count())];
            let statement = Statement::Rederived(null_columns);
            let statement = self.kept(&connection, statement, &size, &BTreeSet::new())?;
            let rows = connection.run(&statement, self.memory.as_ptr())?;
            connection.unregister(TOUCHED)?;
            drop(connection);
            again.add(self.checked(&rows)?);
        }
        again.retain_as(Weight::ONE, |hash, _| lost.contains(hash));
        Ok(again)
    }

    /// The rows, named as keys, by which of their columns are NULL.
    fn by_null_columns(&self, rows: &DeltaSet) -> Result<BTreeMap<Vec<bool>, TupleStore>> {
        let width = self.image.opaque.columns.len();
        let columns = row_types::columns_of(self.desc.as_ptr(), 0..width, |position, _| {
            names::key(position)
        });
        let desc = OwnTupleDesc::build(self.memory.as_ptr(), &columns)?;
        let mut parts = BTreeMap::new();
        for (row, _) in rows.rows() {
            parts
                .entry(row.nulls.to_vec())
                .or_insert_with(|| TupleStore::new(self.memory.as_ptr(), desc.as_ptr()))
                .put(row);
        }
        Ok(parts)
    }

    fn run(
        &self,
        statement: Statement,
        deltas: &Deltas<'_>,
        changed: &BTreeSet<Source>,
    ) -> Result<DeltaSet> {
        let connection = Connection::open()?;
        for (source, store) in deltas {
            connection.register(&names::delta(*source), store)?;
        }
        let sizes: Vec<(Source, u64)> = deltas
            .iter()
            .map(|(source, store)| (*source, store.count()))
            .collect();
        let statement = self.kept(&connection, statement, &sizes, changed)?;
        let rows = connection.run(&statement, self.memory.as_ptr())?;
        drop(connection);
        self.checked(&rows)
    }

    /// A statement for these changes, which reads inputs of these sizes.
    fn kept(
        &self,
        connection: &Connection,
        statement: Statement,
        sizes: &[(Source, u64)],
        changed: &BTreeSet<Source>,
    ) -> Result<Rc<Kept>> {
        let kind = (Some(self.stage.source()), statement.clone());
        self.compiled
            .statements
            .get(connection, kind, sizes, |links| {
                let context = self.compiled.context().linking(links);
                let sql = (self.stage).sql(context, &statement, changed);
                sql.unwrap_or_default()
            })
    }

    /// The rows that a statement returned, which are written without a cast.
    fn checked(&self, rows: &TupleStore) -> Result<DeltaSet> {
        let width = self.image.opaque.columns.len();
        let (wanted, given) = (
            attributes(self.desc.as_ptr()),
            attributes(rows.tuple_desc()),
        );
        let differs = |(w, g): (
            &pg_sys::FormData_pg_attribute,
            &pg_sys::FormData_pg_attribute,
        )| { w.atttypid != g.atttypid };
        if wanted.len() != given.len() || wanted.iter().zip(given).take(width).any(differs) {
            return Err(Error::Internal(
                "a step of a recursion has other columns than the recursion".into(),
            ));
        }
        Ok(DeltaSet::consolidate(rows))
    }

    /// The rows of one sign of each delta, as far as there are any.
    fn part(&self, deltas: &Deltas<'_>, sign: i64) -> Result<Vec<(Source, TupleStore)>> {
        let mut parts = Vec::new();
        for (source, store) in deltas {
            let weight = WeightColumn::of(store.tuple_desc());
            let mut part = TupleStore::new(self.memory.as_ptr(), store.tuple_desc());
            let mut scan = store.scan();
            while let Some(row) = scan.next() {
                let row = row.row();
                if weight.read(row).rows().signum() == sign {
                    part.put(row);
                }
            }
            if part.count() > 0 {
                parts.push((*source, part));
            }
        }
        Ok(parts)
    }

    /// The rows as a delta of the image.
    fn store(&self, rows: &DeltaSet) -> Result<TupleStore> {
        let mut store = TupleStore::new(self.memory.as_ptr(), self.desc.as_ptr());
        for (row, weight) in rows.rows() {
            weighted::put(&mut store, row, weight);
        }
        Ok(store)
    }

    fn none(&self) -> DeltaSet {
        DeltaSet::consolidate(&TupleStore::new(self.memory.as_ptr(), self.desc.as_ptr()))
    }

    /// Writes the rows to the image.
    fn apply(&mut self, rows: &DeltaSet) -> Result<()> {
        if !rows.is_empty() {
            rows.apply_by_image(self.compiled.open_recursion(self.image)?)?;
            self.snapshot.show_own_writes();
        }
        Ok(())
    }
}

fn references(stores: &[(Source, TupleStore)]) -> Deltas<'_> {
    stores
        .iter()
        .map(|(source, store)| (*source, store))
        .collect()
}

/// The image's columns and a weight.
fn row_type(compiled: &Compiled, image: &Image, memory: &MemoryContext) -> Result<OwnTupleDesc> {
    let table = compiled.open_recursion(image)?;
    let all = 0..image.opaque.columns.len();
    let mut columns = row_types::columns_of(table.tuple_desc(), all, |position, _| {
        names::column(position)
    });
    columns.push(row_types::plain(WEIGHT, pg_sys::INT4OID));
    OwnTupleDesc::build(memory.as_ptr(), &columns)
}

//! A refresh from deltas.

use std::ffi::CStr;

use pgtrickle_dvm::frontier::Frontier;
use pgtrickle_dvm::operators::script::{OutputStage, Stage, Way, script};
use pgtrickle_dvm::operators::statement::Context;
use pgtrickle_dvm::plan::{Identity, Source};

use crate::catalog::Reason;
use crate::cdc::{Marker, SharedDeltas};
use crate::error::Result;
use crate::pg::memory::MemoryContext;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::spi::Connection;
use crate::pg::subtransaction::{self, Attempt};
use crate::pg::tuplestore::TupleStore;

use super::block_delta::run_delta;
use super::compiled::Compiled;
use super::delta_set::DeltaSet;
use super::images;
use super::immediate::rows::Hold;
use super::inputs::Inputs;
use super::keyed_table::Counts;
use super::node::NodeRun;
use super::seen;
use super::sink::Sink;

/// Settings under which statements over deltas are planned. Random reads are nearly as cheap as sequential ones in a
/// cache, and delta statements are look-ups; compiling them never pays. Recomputations are planned as the query is.
pub const PLANNER_SETTINGS: &[(&CStr, &CStr)] = &[(c"random_page_cost", c"1.1"), (c"jit", c"off")];

/// What a differential refresh came to.
#[derive(Debug)]
pub enum Differential {
    /// No source changed; nothing was written.
    NoData,
    /// Only a recomputation is exact, for this reason.
    MustRecompute(Reason),
    /// Done.
    Applied {
        /// Rows written to the stream table.
        counts: Counts,
        /// Change rows read.
        delta_rows: u64,
        /// Why a part of it was computed whole that deltas usually maintain.
        reason: Option<Reason>,
    },
}

/// What the stream table contains.
#[derive(Debug, Clone, Copy)]
pub struct From<'a> {
    /// Which changes.
    pub frontier: &'a Frontier,
    /// Whether a source has other files since then, whose rows were not captured.
    pub has_other_files: bool,
}

/// Moves the stream table to the active snapshot, unless `may_apply` refuses so many
/// change rows.
///
/// Cost: O(|Δ|) look-ups. Statements: one per node with changed inputs and one to combine; one for a
/// linear output; one more where groups are recomputed.
pub fn execute_differential_refresh(
    compiled: &Compiled,
    from: From<'_>,
    shared: Option<&SharedDeltas>,
    may_apply: &dyn Fn(u64) -> Result<()>,
    snapshot: &mut ActiveSnapshot,
    memory: &MemoryContext,
) -> Result<Differential> {
    let inputs = Inputs::read(compiled, from.frontier, shared, memory.as_ptr())?;
    if from.has_other_files && inputs.must_recompute.is_none() {
        return Ok(Differential::MustRecompute(Reason::Rewritten));
    }
    may_apply(inputs.raw_rows)?;
    apply_inputs(compiled, inputs, Hold::Table, snapshot, memory)
}

/// Moves the stream table by these inputs to the active snapshot.
pub(super) fn apply_inputs(
    compiled: &Compiled,
    mut inputs: Inputs,
    hold: Hold<'_>,
    snapshot: &mut ActiveSnapshot,
    memory: &MemoryContext,
) -> Result<Differential> {
    if let Some(marker) = inputs.must_recompute {
        return Ok(Differential::MustRecompute(match marker {
            Marker::Truncated => Reason::Truncate,
            Marker::Rewritten => Reason::Rewritten,
            Marker::Unseen => Reason::UnseenWrites,
        }));
    }
    let compared = images::compare(compiled, &mut inputs, snapshot, memory)?;
    if inputs.is_empty() {
        return Ok(if inputs.raw_rows == 0 {
            Differential::NoData
        } else {
            Differential::Applied {
                counts: Counts::default(),
                delta_rows: inputs.raw_rows,
                reason: compared.recomputed,
            }
        });
    }
    let delta_rows = inputs.raw_rows;
    let changed: Vec<Source> = inputs.sources().collect();
    let only_bounds_moved = delta_rows == 0
        && changed.iter().all(|source| match source {
            Source::Image(id) => compiled.plan.images.get(*id).is_some_and(|i| i.is_bound),
            Source::Table(_) | Source::Node(_) => false,
        });
    let done = if compiled.computes_apart || compiled.changes_may_meet(&changed) {
        // A term can pair a row that is gone with one that has just come. The pair was never in the
        // query's input and cancels out, but an expression over it may have no value. So may one over rows of a node
        // that nothing above it asks for.
        match subtransaction::attempt(|| run_plan(compiled, inputs, hold, snapshot, memory))? {
            Attempt::Done(done) => done,
            Attempt::DataException(_) => {
                return Ok(Differential::MustRecompute(Reason::DataException));
            }
        }
    } else {
        run_plan(compiled, inputs, hold, snapshot, memory)?
    };
    if only_bounds_moved && !done.touched {
        return Ok(Differential::NoData);
    }
    let reason = compared.recomputed.clone();
    compared.keep(compiled)?;
    Ok(Differential::Applied {
        counts: done.counts,
        delta_rows,
        reason,
    })
}

/// What the statements of a plan did.
#[derive(Debug, Default)]
struct Done {
    counts: Counts,
    /// Whether any of them found something to change.
    touched: bool,
}

/// Runs the nodes, then the output.
fn run_plan(
    compiled: &Compiled,
    mut inputs: Inputs,
    hold: Hold<'_>,
    snapshot: &mut ActiveSnapshot,
    memory: &MemoryContext,
) -> Result<Done> {
    let mut done = Done::default();
    for stage in script(&compiled.plan) {
        let written = match &stage {
            Stage::Image(_) => continue,
            Stage::Node(stage) => {
                let run = NodeRun {
                    compiled,
                    stage,
                    node: stage.node,
                    inputs: &inputs,
                    memory,
                    hold,
                };
                match stage.output {
                    Some(identity) => write_last(&run, identity)?,
                    None => {
                        if let Some(store) = run_inner(&run)? {
                            done.touched = true;
                            let read = compiled.columns_read(stage.node);
                            let seen = seen::by_readers(store, read, memory);
                            inputs.insert(stage.source(), seen);
                            snapshot.show_own_writes();
                        }
                        continue;
                    }
                }
            }
            Stage::Output(stage) => write_output(compiled, stage, &inputs, hold, memory)?,
        };
        done.counts = written.counts;
        done.touched |= written.touched;
    }
    Ok(done)
}

/// A node whose rows other blocks read: its changed rows become a delta.
fn run_inner(run: &NodeRun<'_>) -> Result<Option<TupleStore>> {
    let mut sink = Sink::delta(run.memory);
    match run.stage.way {
        Way::Rows => return run.replace_rows(),
        Way::Groups => {
            let touched = run.execute(&mut sink)?;
            return Ok(sink.into_store().filter(|_| touched));
        }
        Way::Reach(..) => run.follow_reach(&mut sink)?,
        Way::Partitions(_) => {
            let state = run.compiled.open_state(run.node)?;
            run.replace_partitions(state, run.node.row_key.as_deref(), &mut sink)?;
        }
    }
    Ok(sink.into_store().filter(|rows| rows.count() > 0))
}

/// The node whose projection the stream table holds.
fn write_last(run: &NodeRun<'_>, identity: &Identity) -> Result<Done> {
    let (compiled, hold) = (run.compiled, run.hold);
    let key = match identity {
        Identity::Key { columns, .. } => Some(columns.as_slice()),
        Identity::Image => None,
    };
    if matches!(run.stage.way, Way::Partitions(_)) {
        let table = compiled.open_partitions()?;
        let counts = run.replace_partitions(table, key, &mut Sink::Nowhere)?;
        return Ok(Done {
            touched: counts.is_some(),
            counts: counts.unwrap_or_default(),
        });
    }
    if key.is_none() {
        let mut sink = Sink::delta(run.memory);
        let touched = run.execute(&mut sink)?;
        let counts = match sink.into_store() {
            Some(rows) => apply(compiled, identity, &rows, hold)?,
            None => Counts::default(),
        };
        return Ok(Done { counts, touched });
    }
    let connection = Connection::open()?;
    let Some(groups) = run.changed_groups(&connection)? else {
        return Ok(Done::default());
    };
    let _present = hold.rows(compiled, || run.keys_of(&groups))?;
    let mut sink = Sink::Table {
        table: Box::new(compiled.open_output()?),
    };
    run.change(&connection, &groups, &mut sink)?;
    let counts = sink.finish()?;
    Ok(Done {
        counts,
        touched: true,
    })
}

/// A linear output.
fn write_output(
    compiled: &Compiled,
    stage: &OutputStage<'_>,
    inputs: &Inputs,
    hold: Hold<'_>,
    memory: &MemoryContext,
) -> Result<Done> {
    let changed = inputs.changed(&stage.block.sources());
    if changed.is_empty() {
        return Ok(Done::default());
    }
    let connection = Connection::open()?;
    inputs.register(&connection, &changed)?;
    let delta = |context: Context<'_>, sources: &_| stage.delta(context, sources);
    let read = || run_delta(compiled, &connection, memory, None, &changed, &delta);
    let rows = hold.read(compiled, read)?;
    drop(connection);
    match rows {
        None => Ok(Done::default()),
        Some(rows) => Ok(Done {
            touched: rows.count() > 0,
            counts: apply(compiled, stage.identity, &rows, hold)?,
        }),
    }
}

/// Writes a delta to the stream table.
fn apply(
    compiled: &Compiled,
    identity: &Identity,
    rows: &TupleStore,
    hold: Hold<'_>,
) -> Result<Counts> {
    let set = DeltaSet::consolidate(rows);
    let _present = hold.rows(compiled, || Ok(set.keys(identity)))?;
    let table = compiled.open_output()?;
    match identity {
        Identity::Key { columns, .. } => set.apply_by_key(table, columns),
        Identity::Image => set.apply_by_image(table),
    }
}

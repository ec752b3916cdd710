//! Which statements a delta consists of, and what they read.

use std::collections::BTreeSet;

use pgtrickle_dvm::plan::Source;

use crate::pg::tuplestore::TupleStore;

/// What [`super::compiled::Compiled::delta_shape`] remembers of a delta, so that its text is built only when it has
/// to be planned.
#[derive(Debug, Clone, Default)]
pub struct DeltaShape {
    /// The intermediate results.
    pub steps: Vec<StepShape>,
    /// What the statement after them reads, if there is one.
    pub terms: Option<Reads>,
}

/// An intermediate result.
#[derive(Debug, Clone)]
pub struct StepShape {
    /// Its name.
    pub name: String,
    /// What its statement reads.
    pub reads: Reads,
}

/// The deltas that a statement reads.
#[derive(Debug, Clone)]
pub struct Reads {
    /// Of which sources.
    pub sources: BTreeSet<Source>,
    /// Of which steps before it.
    pub steps: Vec<usize>,
}

impl Reads {
    /// How many rows each of them has.
    pub fn sizes(&self, changed: &[(Source, u64)], steps: &[TupleStore]) -> Vec<u64> {
        let of_sources = changed
            .iter()
            .filter(|(source, _)| self.sources.contains(source));
        let of_steps = self.steps.iter().filter_map(|step| steps.get(*step));
        let of_sources = of_sources.map(|(_, rows)| *rows);
        of_sources.chain(of_steps.map(TupleStore::count)).collect()
    }
}

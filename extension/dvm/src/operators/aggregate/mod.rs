//! Grouping with aggregates, and DISTINCT (grouping without aggregates).
//!
//! ```text
//! Δn_g   = Σ weights of ΔR in group g            n_g⁺ = n_g⁻ + Δn_g, the group lives while n_g > 0
//! Δacc_g = Σ weight · x                          acc_g⁺ = acc_g⁻ + Δacc_g   (invertible aggregates)
//! min, max: acc⁺ = least/greatest(acc⁻, inserted), unless a removed value reaches acc⁻
//! Δγ(R)  = − (old row of g) + (new row of g)     for each touched group g
//! ```
//! State: one row per group with `n`, one accumulator per invertible aggregate, and a count of
//! non-NULL inputs where the result depends on it. Cost: O(|Δ|) plus one look-up per touched group.
//!
//! Recomputes **the touched groups only**, from R⁺: when a removed value reaches the extremum, when
//! a sum stops being finite, for aggregates without an inverse, and where equal keys can have
//! different images (so that the shown key is one that is still there). An index on the group key
//! makes that O(size of the touched groups).

mod accumulator;
mod statements;
#[cfg(test)]
mod tests;

pub use accumulator::{Accumulator, Count, Extremum, Final};
pub use statements::{
    CombineLayout, Emit, combine, delta, initial, recompute, state_names, state_output,
};

use super::partition::Partition;
use crate::plan::Node;
use crate::tree::{Aggregate, AggregateKind, Column, ColumnId};

/// How a node's aggregates are maintained.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Maintenance {
    /// From accumulators.
    Accumulate {
        /// The accumulators of a group.
        accumulators: Vec<Accumulator>,
        /// How each aggregate follows from them.
        finals: Vec<Final>,
    },
    /// Each touched group is computed again; the state holds the aggregates' results.
    Recompute,
    /// There are no groups and no aggregates, but partitions of any number of rows.
    Partition(Partition),
    /// There is nothing to compute: the state holds the rows of the block, each by its image.
    Rows,
}

/// Whether every touched group must be computed again, whatever changed in it.
pub fn recomputes_always<'a>(
    mut keys: impl Iterator<Item = &'a Column>,
    aggregates: &[Aggregate],
) -> bool {
    keys.any(|key| !key.ty.image_equality)
        || aggregates
            .iter()
            .any(|a| matches!(a.kind, AggregateKind::Recompute))
}

impl Maintenance {
    /// Chooses the maintenance of a grouping.
    pub fn of(keys: &[Column], aggregates: &[Aggregate]) -> Self {
        let needs_server =
            recomputes_always(keys.iter(), aggregates) || aggregates.iter().any(|a| a.distinct);
        if needs_server {
            return Maintenance::Recompute;
        }
        accumulator::choose(keys, aggregates).unwrap_or(Maintenance::Recompute)
    }

    /// The node's columns that, taken together, are its state; `None` when some state is not one
    /// of its columns.
    pub fn state_as_columns(&self, node: &Node) -> Option<Vec<ColumnId>> {
        let Maintenance::Accumulate {
            accumulators,
            finals,
        } = self
        else {
            return None;
        };
        let column_of = |wanted: &dyn Fn(&Final) -> bool| {
            finals
                .iter()
                .zip(&node.aggregates)
                .find(|(f, _)| wanted(f))
                .map(|(_, a)| a.column.id)
        };
        let rows = column_of(&|f| *f == Final::Count(Count::Rows))?;
        let mut ids: Vec<ColumnId> = node.keys.iter().map(|k| k.id).collect();
        ids.push(rows);
        for position in 0..accumulators.len() {
            ids.push(column_of(&|f| {
                f.shows() == Some(position) && !f.hides_empty(node.is_global())
            })?);
        }
        Some(ids)
    }
}

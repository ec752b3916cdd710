//! How a node's state is maintained.

use crate::tree::{Aggregate, Column, ColumnId, SortKey, WindowCall, recomputes_always};

use super::Node;
use super::accumulator::{self, Accumulator, Count, Final};
use super::reach::Order;

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

/// What is computed for each partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Partition {
    /// Each row with the results of window functions.
    Window {
        /// The calls.
        calls: Vec<WindowCall>,
        /// How far changes reach, where that is less than the whole input.
        order: Option<Order>,
    },
    /// The first rows of an order.
    TopN {
        /// The order.
        order: Vec<SortKey>,
        /// How many rows are skipped.
        offset: u64,
        /// How many rows are kept after that.
        limit: Option<u64>,
        /// Whether rows equal in the order to the last one are kept, too.
        with_ties: bool,
    },
}

impl Partition {
    /// The columns that are computed beside those of the input.
    pub fn calls(&self) -> &[WindowCall] {
        match self {
            Partition::Window { calls, .. } => calls,
            Partition::TopN { .. } => &[],
        }
    }

    /// The calls, to be changed.
    pub fn calls_mut(&mut self) -> &mut [WindowCall] {
        match self {
            Partition::Window { calls, .. } => calls,
            Partition::TopN { .. } => &mut [],
        }
    }

    /// The order in which changes of a window reach only so far.
    pub fn order(&self) -> Option<&Order> {
        match self {
            Partition::Window { order, .. } => order.as_ref(),
            Partition::TopN { .. } => None,
        }
    }

    /// Its name in explanations.
    pub fn name(&self) -> &'static str {
        match self {
            Partition::Window { .. } => "window",
            Partition::TopN { .. } => "first rows",
        }
    }
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

//! How a node's state is maintained.

use crate::tree::{Aggregate, Column, SortKey, WindowCall, recomputes_always};

use super::accumulator::{self, Accumulator, Final};
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
    /// Each touched group is recomputed; the state holds the aggregates' results.
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
        match accumulator::choose(keys, aggregates) {
            None => Maintenance::Recompute,
            Some((accumulators, finals)) => Maintenance::Accumulate {
                accumulators,
                finals,
            },
        }
    }
}

//! What a query is compiled into: images, nodes and an output.

use crate::tree::{Aggregate, Column, ColumnId, Expr, Predicate};

use super::accumulator::{Accumulator, Count, Final};
use super::block::Block;
use super::image::Image;
use super::maintenance::{Maintenance, Partition};

/// A compiled query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    /// Subqueries that are computed whole, before the nodes.
    pub images: Vec<Image>,
    /// Stateful nodes, inputs before consumers.
    pub nodes: Vec<Node>,
    /// What the stream table holds.
    pub output: Output,
    /// The stream table's columns.
    pub columns: Vec<Column>,
}

impl Plan {
    /// Whether it reads subqueries that are computed whole. They are read once per refresh and then
    /// from their image, so that all that follows from them agrees.
    pub fn has_images(&self) -> bool {
        self.images.iter().any(|image| !image.is_bound)
    }

    /// Whether the content can change although no source does.
    pub fn is_polled(&self) -> bool {
        self.images.iter().any(|image| image.opaque.polled)
    }

    /// Every block: the recursions', the nodes', then the output's.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        let recursions = self.images.iter().flat_map(Image::blocks);
        recursions.chain(blocks_of(&self.nodes, &self.output))
    }
}

/// Every block of nodes and output.
pub(super) fn blocks_of<'a>(
    nodes: &'a [Node],
    output: &'a Output,
) -> impl Iterator<Item = &'a Block> {
    nodes.iter().map(|n| &n.block).chain(match output {
        Output::Linear { block, .. } => Some(block),
        Output::Post { .. } => None,
    })
}

/// A linear block under an aggregation, a window or a limit; or alone, where its rows are kept because inlining it
/// would multiply branches. DISTINCT is an aggregation without aggregates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// Position in [`Plan::nodes`].
    pub id: usize,
    /// The input. Its columns are the group keys, then the columns that the aggregates read.
    pub block: Block,
    /// The group keys, or the columns that make the partitions: the first columns of the output.
    pub keys: Vec<Column>,
    /// The aggregates, over the block's columns.
    pub aggregates: Vec<Aggregate>,
    /// How the aggregates are maintained and what state that needs.
    pub maintenance: Maintenance,
    /// Where the state lives.
    pub store: Store,
    /// Columns of the output that identify a row, by position; `None` when nothing does.
    pub row_key: Option<Vec<usize>>,
}

impl Node {
    /// The output columns: keys, then aggregates; for partitions the block's columns, then the results.
    pub fn columns(&self) -> Vec<Column> {
        if let Maintenance::Partition(partition) = &self.maintenance {
            let results = partition.calls().iter().map(|call| &call.column);
            return self.block.columns.iter().chain(results).cloned().collect();
        }
        self.keys
            .iter()
            .cloned()
            .chain(self.aggregates.iter().map(|a| a.column.clone()))
            .collect()
    }

    /// What is computed for each partition, unless the node groups.
    pub fn partition(&self) -> Option<&Partition> {
        match &self.maintenance {
            Maintenance::Partition(partition) => Some(partition),
            Maintenance::Accumulate { .. } | Maintenance::Recompute | Maintenance::Rows => None,
        }
    }

    /// How many columns its state has: keys and row count with accumulators, or keys and results.
    pub fn state_width(&self) -> usize {
        match &self.maintenance {
            Maintenance::Accumulate { accumulators, .. } => {
                self.keys.len() + 1 + accumulators.len()
            }
            Maintenance::Recompute | Maintenance::Partition(_) | Maintenance::Rows => {
                self.columns().len()
            }
        }
    }

    /// The node's columns that, taken together, are its state; `None` when some state is not one
    /// of its columns.
    pub fn state_as_columns(&self) -> Option<Vec<ColumnId>> {
        let Maintenance::Accumulate {
            accumulators,
            finals,
        } = &self.maintenance
        else {
            return None;
        };
        let column_of = |wanted: &dyn Fn(&Final) -> bool| {
            finals
                .iter()
                .zip(&self.aggregates)
                .find(|(f, _)| wanted(f))
                .map(|(_, a)| a.column.id)
        };
        let rows = column_of(&|f| *f == Final::Count(Count::Rows))?;
        let mut ids: Vec<ColumnId> = self.keys.iter().map(|k| k.id).collect();
        ids.push(rows);
        for position in 0..accumulators.len() {
            ids.push(column_of(&|f| {
                f.shows() == Some(position) && !f.hides_empty(self.is_global())
            })?);
        }
        Some(ids)
    }

    /// Whether it keeps the rows of its block as they are.
    pub fn keeps_rows(&self) -> bool {
        matches!(self.maintenance, Maintenance::Rows)
    }

    /// Whether changes are added to what it keeps of a group.
    pub fn is_combined(&self) -> bool {
        !matches!(self.store, Store::None)
    }

    /// Whether some change makes it compute touched groups again.
    pub fn may_recompute(&self) -> bool {
        match &self.maintenance {
            Maintenance::Recompute | Maintenance::Partition(_) => true,
            Maintenance::Rows => false,
            Maintenance::Accumulate { accumulators, .. } => accumulators
                .iter()
                .any(|a| matches!(a, Accumulator::Extremum { .. })),
        }
    }

    /// A node without keys has one group, with exactly one row also over an empty input; or one
    /// partition.
    pub fn is_global(&self) -> bool {
        self.keys.is_empty() && !self.keeps_rows()
    }
}

/// Where a node's state lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Store {
    /// In a table of its own. `indexes` are sets of key positions that consumers join on.
    Table {
        /// Key positions of each additional index.
        indexes: Vec<Vec<usize>>,
    },
    /// In the stream table, because every state column is a visible column: position of each state
    /// column in the output. For partitions the keys are enough: position of each key.
    Output(Vec<usize>),
    /// Nowhere: touched groups are recomputed and written by key.
    None,
}

/// What the stream table holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Output {
    /// A linear block.
    Linear {
        /// The block.
        block: Block,
        /// How a row is found in the stream table.
        identity: Identity,
    },
    /// The last node's output, filtered (HAVING) and projected.
    Post {
        /// The conditions, over the node's columns.
        predicates: Vec<Predicate>,
        /// The output columns, over the node's columns.
        exprs: Vec<Expr>,
        /// How a row is found in the stream table.
        identity: Identity,
    },
}

impl Output {
    /// How a row is found in the stream table.
    pub fn identity(&self) -> &Identity {
        match self {
            Output::Linear { identity, .. } | Output::Post { identity, .. } => identity,
        }
    }
}

/// How a row is found in the stream table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// By these output positions, which identify a row. Empty: there is only one row.
    Key {
        /// Output positions.
        columns: Vec<usize>,
        /// Whether a unique index can hold every possible key. Otherwise an index on a hash of the
        /// key serves (text may be longer than a btree entry).
        unique_index: bool,
    },
    /// By the image of the whole row.
    Image,
}

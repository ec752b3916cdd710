//! Linear blocks: a bag union of select-project-join branches.
//!
//! Filters, projections, joins and bag unions commute with deltas, so any nest of them
//! flattens into this form: `⊎ᵢ π(σ(Sᵢ₁ × … × Sᵢₙ))`. An outer join is also a factor of the product
//! (see [`crate::operators::outer_join`]).

use std::collections::BTreeSet;

use crate::tree::{Column, ColumnId, Crossing, Expr, Predicate, Scan, Side};

/// A bag union of branches with the same columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Block {
    /// Output columns.
    pub columns: Vec<Column>,
    /// The branches.
    pub branches: Vec<Branch>,
}

/// One select-project-join.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Branch {
    /// The joined relations, in an order in which each one's ON condition reads itself and earlier ones
    /// only. Empty for a constant row, which never changes.
    pub scans: Vec<Factor>,
    /// Conjuncts over the scans' columns.
    pub predicates: Vec<Predicate>,
    /// One expression per column of the block, over the scans' columns.
    pub outputs: Vec<Expr>,
}

/// A relation in a branch, and how it is joined to those before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Factor {
    /// The relation.
    pub scan: BlockScan,
    /// For the null-supplying side of an outer join: when it matches. `None`: an inner join, whose
    /// conditions are among the branch's predicates.
    pub outer: Option<Outer>,
}

/// The null-supplying side of a left outer join: a row of the relations before it is joined to its
/// matches, or, where there are none, to one row of NULLs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Outer {
    /// Conjuncts of the ON condition, over this relation's columns and those before it.
    pub on: Vec<Predicate>,
    /// Identity of a boolean: whether there is a match.
    pub present: ColumnId,
    /// Where it is seen whether a row has a match.
    pub matched: Matched,
}

/// A relation that has exactly one row for each row before it that has a match, and none for others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Matched {
    /// The null-supplying relation itself, because `on` fixes a key of it.
    Itself,
    /// The output of an earlier node.
    Set {
        /// Its position in the plan.
        node: usize,
        /// Its columns.
        columns: Vec<Column>,
        /// What connects it to the rows before.
        on: Vec<Predicate>,
    },
}

/// A relation in a branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BlockScan {
    /// A table.
    Table(Scan),
    /// The output of an earlier node.
    Node {
        /// Its position in the plan.
        node: usize,
        /// Its columns.
        columns: Vec<Column>,
    },
    /// A subquery that is computed whole.
    Image {
        /// Its position among the plan's images.
        image: usize,
        /// Its columns.
        columns: Vec<Column>,
    },
    /// One row without columns if a value of earlier scans lies on one side of a moving bound, otherwise
    /// none.
    Bound {
        /// Position of the bound among the plan's images.
        image: usize,
        /// The value.
        value: Expr,
        /// The comparison, ready to stand between value and bound.
        operator: String,
        /// Which values it keeps.
        side: Side,
    },
    /// Rows computed from the rows of earlier scans of the branch. It never changes by itself.
    Expand {
        /// What stands in FROM, over columns of earlier scans.
        item: Expr,
        /// Its columns.
        columns: Vec<Column>,
        /// Positions in `columns` that distinguish the rows of one combination of earlier rows.
        key: Option<Vec<usize>>,
    },
    /// One row with one column: a condition on a moving bound and on columns of earlier scans.
    Condition {
        /// Position of the bound among the plan's images.
        image: usize,
        /// What stands for the bound in the condition.
        bound: ColumnId,
        /// The column.
        column: Column,
        /// The condition.
        condition: Expr,
        /// How rows are found for which it has changed; `None`: each is looked at.
        found_by: Option<(Expr, Crossing)>,
    },
}

/// What a scan reads: a delta is kept per source, not per scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A table, by OID.
    Table(u32),
    /// A node of the plan.
    Node(usize),
    /// An image of the plan.
    Image(usize),
}

impl Outer {
    /// Every condition that decides on a match: on the relation, and on the set of what is matched.
    pub fn conditions(&self) -> impl Iterator<Item = &Predicate> {
        let set = match &self.matched {
            Matched::Itself => &[][..],
            Matched::Set { on, .. } => on,
        };
        self.on.iter().chain(set)
    }
}

impl Factor {
    /// An inner join.
    pub fn inner(scan: BlockScan) -> Self {
        Factor { scan, outer: None }
    }

    /// The source of its rows, if it has one of its own.
    pub fn source(&self) -> Option<Source> {
        self.scan.source()
    }

    /// The source whose change moves rows between matched and unmatched.
    pub fn matched_source(&self) -> Option<Source> {
        self.outer.as_ref().and_then(|outer| match &outer.matched {
            Matched::Itself => self.scan.source(),
            Matched::Set { node, .. } => Some(Source::Node(*node)),
        })
    }

    /// The sources of what changes it.
    pub fn sources(&self) -> impl Iterator<Item = Source> {
        [self.source(), self.matched_source()].into_iter().flatten()
    }

    /// The identities of its columns, with that of `present`.
    pub fn column_ids(&self) -> Vec<ColumnId> {
        let mut ids = self.scan.column_ids();
        ids.extend(self.outer.as_ref().map(|outer| outer.present));
        ids
    }
}

impl BlockScan {
    /// The source, if it has one of its own.
    pub fn source(&self) -> Option<Source> {
        match self {
            BlockScan::Table(scan) => Some(Source::Table(scan.oid)),
            BlockScan::Node { node, .. } => Some(Source::Node(*node)),
            BlockScan::Image { image, .. }
            | BlockScan::Bound { image, .. }
            | BlockScan::Condition { image, .. } => Some(Source::Image(*image)),
            BlockScan::Expand { .. } => None,
        }
    }

    /// The columns of earlier scans that it reads.
    pub fn reads(&self) -> BTreeSet<ColumnId> {
        match self {
            BlockScan::Table(_) | BlockScan::Node { .. } | BlockScan::Image { .. } => {
                BTreeSet::new()
            }
            BlockScan::Expand { item: expr, .. } | BlockScan::Bound { value: expr, .. } => {
                expr.columns()
            }
            BlockScan::Condition {
                bound, condition, ..
            } => {
                let mut reads = condition.columns();
                reads.remove(bound);
                reads
            }
        }
    }

    /// Its columns.
    pub fn columns(&self) -> Vec<&Column> {
        match self {
            BlockScan::Table(scan) => scan.columns.iter().map(|c| &c.column).collect(),
            BlockScan::Node { columns, .. }
            | BlockScan::Image { columns, .. }
            | BlockScan::Expand { columns, .. } => columns.iter().collect(),
            BlockScan::Bound { .. } => Vec::new(),
            BlockScan::Condition { column, .. } => vec![column],
        }
    }

    /// The identities of its columns.
    pub fn column_ids(&self) -> Vec<ColumnId> {
        self.columns().iter().map(|c| c.id).collect()
    }
}

impl Block {
    /// The sources that the block reads, each once.
    pub fn sources(&self) -> BTreeSet<Source> {
        self.branches
            .iter()
            .flat_map(|branch| &branch.scans)
            .flat_map(Factor::sources)
            .collect()
    }
}

//! A stage of a query level: expressions that are computed over one relation, and the subqueries in
//! them, which become dependent joins under the stage.

use std::collections::BTreeSet;

use pgtrickle_dvm::tree::{ApplyKind, Column, ColumnId, Expr, Predicate, Relation};

use super::group_columns::Grouping;
use super::scope::{Level, Offered, Scope};
use crate::pg::node::Node;

/// A subquery that waits for the relation whose rows it is computed for.
pub(super) struct Pending {
    /// The subquery.
    pub subquery: Relation,
    /// What it adds.
    pub kind: ApplyKind,
    /// Columns outside of it that it reads, some of its own among them.
    pub reads: BTreeSet<ColumnId>,
}

impl Pending {
    /// The subquery computed for each row of `input`.
    pub fn over(self, input: Relation) -> Relation {
        Relation::Apply {
            input: Box::new(input),
            subquery: Box::new(self.subquery),
            kind: self.kind,
        }
    }
}

/// Where expressions are bound.
pub(super) struct Stage<'a> {
    /// The level.
    pub level: &'a Level<'a>,
    /// Its grouping, above it.
    pub grouping: Option<&'a Grouping>,
    /// Window functions, as they are written, and the columns with their results.
    pub windows: &'a [(Node, ColumnId)],
    /// The subqueries met, inner ones first.
    pub pending: Vec<Pending>,
    /// The subqueries met, as they are written, and what they became.
    pub known: Vec<(Node, Node)>,
}

impl<'a> Stage<'a> {
    /// A stage of a level, below its grouping or above.
    pub fn new(level: &'a Level<'a>, grouping: Option<&'a Grouping>) -> Self {
        Self {
            level,
            grouping,
            windows: &[],
            pending: Vec::new(),
            known: Vec::new(),
        }
    }

    /// What the stage shows to a subquery.
    pub fn scope(&self) -> Scope<'a> {
        Scope {
            query: self.level.query,
            parent: self.level.parent,
            offered: Some(Offered {
                level: self.level,
                grouping: self.grouping,
            }),
        }
    }

    /// What the subqueries met read of the outside, some columns of their own among it.
    pub fn reads(&self) -> BTreeSet<ColumnId> {
        self.pending
            .iter()
            .flat_map(|pending| pending.reads.iter().copied())
            .collect()
    }

    /// The relation of the stage, with the columns that its subqueries add.
    pub fn over(self, input: Relation) -> Relation {
        self.pending
            .into_iter()
            .fold(input, |input, pending| pending.over(input))
    }
}

/// The conjuncts of a condition.
#[derive(Default)]
pub(super) struct Conjuncts {
    /// Those without subqueries.
    pub plain: Vec<Predicate>,
    /// Those that read columns which subqueries add.
    pub dependent: Vec<Predicate>,
}

impl Conjuncts {
    /// All of them.
    pub fn all(mut self) -> Vec<Predicate> {
        self.plain.append(&mut self.dependent);
        self.plain
    }
}

/// The rows of `input` that satisfy the conjuncts.
pub(super) fn filtered(input: Relation, predicates: Vec<Predicate>) -> Relation {
    if predicates.is_empty() {
        return input;
    }
    Relation::Filter {
        input: Box::new(input),
        predicates,
    }
}

/// The columns of a result, without those that only order it.
pub(super) fn shown(relation: Relation, ids: &[Option<ColumnId>]) -> Relation {
    let columns = relation.columns();
    let is_shown = |column: &Column| ids.contains(&Some(column.id));
    if columns.iter().all(is_shown) {
        return relation;
    }
    Relation::Project {
        input: Box::new(relation),
        columns: columns
            .into_iter()
            .filter(is_shown)
            .map(|column| {
                let expr = Expr::of(&column);
                (column, expr)
            })
            .collect(),
    }
}

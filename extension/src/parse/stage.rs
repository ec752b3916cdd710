//! A stage of a query level: expressions that are computed over one relation, and what is in them that adds
//! columns under the stage: subqueries, which become dependent joins, and conditions on the clock.

use std::collections::BTreeSet;

use pgtrickle_dvm::tree::{
    ApplyKind, Column, ColumnId, Condition, Expr, Opaque, Predicate, Relation,
};

use super::group_columns::Grouping;
use super::scope::{Level, Offered, Scope};
use crate::pg::node::Node;

/// What waits for the relation to whose rows it adds columns.
pub(super) struct Pending {
    /// What it is.
    pub what: Added,
    /// Columns outside of it that it reads, some of its own among them.
    pub reads: BTreeSet<ColumnId>,
}

/// What adds columns to rows.
pub(super) enum Added {
    /// A subquery that is computed for each row, and what it adds.
    Subquery(Relation, ApplyKind),
    /// A condition on the clock.
    Condition(Condition),
    /// One row with a value that follows the clock.
    Value(Opaque),
}

impl Pending {
    /// Its columns beside those of `input`.
    pub fn over(self, input: Relation) -> Relation {
        let input = Box::new(input);
        match self.what {
            Added::Subquery(subquery, kind) => Relation::Apply {
                input,
                subquery: Box::new(subquery),
                kind,
            },
            Added::Condition(condition) => Relation::Conditioned {
                input,
                condition: Box::new(condition),
            },
            Added::Value(value) => Relation::Join {
                left: input,
                right: Box::new(Relation::Opaque(value)),
                predicates: Vec::new(),
            },
        }
    }

    /// Whether it adds one of these columns.
    fn adds(&self, columns: &BTreeSet<ColumnId>) -> bool {
        match &self.what {
            Added::Subquery(subquery, kind) => {
                let added = kind.columns(subquery);
                added.iter().any(|column| columns.contains(&column.id))
            }
            Added::Condition(condition) => columns.contains(&condition.column.id),
            Added::Value(value) => value.columns.iter().any(|c| columns.contains(&c.id)),
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
    /// The subqueries and conditions met, inner ones first.
    pub pending: Vec<Pending>,
    /// The same as they are written, and what they became.
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

    /// What a subquery or condition became that has been met before.
    pub fn known(&self, written: Node) -> Option<Node> {
        let mut known = self.known.iter();
        known
            .find(|(node, _)| node.same_as(written))
            .map(|(_, bound)| *bound)
    }

    /// Whether an expression reads what the subqueries and conditions met add.
    pub fn adds_to(&self, expr: &Expr) -> bool {
        let reads = expr.columns();
        self.pending.iter().any(|pending| pending.adds(&reads))
    }

    /// What the subqueries and conditions met read of the outside, some columns of their own among it.
    pub fn reads(&self) -> BTreeSet<ColumnId> {
        self.pending
            .iter()
            .flat_map(|pending| pending.reads.iter().copied())
            .collect()
    }

    /// The relation of the stage, with the columns that its subqueries and conditions add.
    pub fn over(self, input: Relation) -> Relation {
        self.pending
            .into_iter()
            .fold(input, |input, pending| pending.over(input))
    }
}

/// The conjuncts of a condition.
#[derive(Default)]
pub(super) struct Conjuncts {
    /// Those over the columns of the relation alone.
    pub plain: Vec<Predicate>,
    /// Those that read columns which subqueries and conditions add.
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

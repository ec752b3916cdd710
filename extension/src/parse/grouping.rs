//! GROUP BY, aggregates and HAVING of one query level.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Aggregate, Column, ColumnId, Expr, Relation};

use super::analyzer::Analyzer;
use super::from::Level;
use crate::capability::{
    GROUP_BY, GROUPING_SETS, HAVING, RECORD, SET_RETURNING_KEY, UNSORTABLE_KEY,
};
use crate::pg::node::{self, Node, Walk};
use crate::pg::{query, types};

/// What a grouping offers to the expressions above it.
#[derive(Default)]
pub(super) struct Grouping {
    /// Flattened expressions and the columns that carry their values.
    known: Vec<(Node, ColumnId)>,
}

impl Grouping {
    /// The column that carries the value of a flattened expression.
    pub fn find(&self, expr: Node) -> Option<ColumnId> {
        self.known
            .iter()
            .find(|(known, _)| known.same_as(expr))
            .map(|(_, id)| *id)
    }
}

/// Whether the level groups.
pub(super) fn is_grouped(query: &pg_sys::Query) -> bool {
    query.hasAggs
        || !query.havingQual.is_null()
        || node::list_length(query.groupClause) > 0
        || node::list_length(query.groupingSets) > 0
}

impl Analyzer {
    /// Groups `input`; `outputs` are the flattened expressions that stand above the grouping.
    pub fn group(
        &mut self,
        level: &Level,
        input: Relation,
        outputs: &[Node],
    ) -> (Relation, Grouping) {
        self.check_grouping_sets(&level.query);
        let mut grouping = Grouping::default();
        let keys = self.keys(level, &mut grouping, outputs);
        let mut aggregates: Vec<Aggregate> = Vec::new();
        for output in outputs {
            for call in self.calls_in(*output, &grouping) {
                if grouping.find(call.node()).is_none() {
                    let aggregate = self.aggregate(level, call);
                    grouping.known.push((call.node(), aggregate.column.id));
                    aggregates.push(aggregate);
                }
            }
        }
        self.note(&GROUP_BY, format!("{} keys", keys.len()));
        let mut relation = Relation::Aggregate {
            input: Box::new(input),
            keys,
            aggregates,
        };
        let having = Node::new(level.query.havingQual);
        let predicates = self.predicates(level, having, Some(&grouping));
        if !predicates.is_empty() {
            self.note(&HAVING, "HAVING");
            relation = Relation::Filter {
                input: Box::new(relation),
                predicates,
            };
        }
        (relation, grouping)
    }

    /// The grouping keys, then the columns that the server lets through because they depend on
    /// grouped primary keys: they are the same in all rows of a group, so they may be keys too.
    fn keys(
        &mut self,
        level: &Level,
        grouping: &mut Grouping,
        outputs: &[Node],
    ) -> Vec<(Column, Expr)> {
        let targets = node::list_of::<pg_sys::TargetEntry>(level.query.targetList);
        let mut keys = Vec::new();
        for clause in node::list_of::<pg_sys::SortGroupClause>(level.query.groupClause) {
            let target = targets
                .iter()
                .find(|t| t.ressortgroupref == clause.tleSortGroupRef);
            let Some(target) = target else { continue };
            let Some(expr) = Node::new(target.expr) else {
                continue;
            };
            let flat = query::flatten(level.query, expr);
            self.add_key(level, grouping, &mut keys, flat, node::text(target.resname));
        }
        for output in outputs {
            for var in vars_outside(*output, grouping) {
                if grouping.find(var).is_none() {
                    self.add_key(level, grouping, &mut keys, var, String::new());
                }
            }
        }
        keys
    }

    fn add_key(
        &mut self,
        level: &Level,
        grouping: &mut Grouping,
        keys: &mut Vec<(Column, Expr)>,
        flat: Node,
        name: String,
    ) {
        let bound = self.bind(level, flat, None);
        let expr = self.expression(bound);
        if types::returns_set(bound) {
            self.refuse(&SET_RETURNING_KEY, "set-returning function in GROUP BY");
        }
        let scale = self.scale(bound);
        let ty = (bound.type_oid(), bound.typmod(), bound.collation());
        let name = match expr.as_column().and_then(|id| self.slot(id)) {
            Some(slot) if name.is_empty() => slot.column.name.clone(),
            _ => name,
        };
        let column = self.add_column(name, ty, expr.nullable, scale);
        let explicit = self.says_collate(bound);
        self.set_explicit_collation(column.id, explicit);
        self.check_key(&column);
        grouping.known.push((flat, column.id));
        keys.push((column, expr));
    }

    /// Refuses keys that no state table or no btree index can hold.
    pub fn check_key(&mut self, column: &Column) {
        self.check_storable(column);
        if !column.ty.sortable {
            self.refuse(
                &UNSORTABLE_KEY,
                format!("{} of type {}", column.name, column.ty.sql),
            );
        }
    }

    /// Refuses columns of a grouping that no table can have.
    pub fn check_storable(&mut self, column: &Column) {
        let is_pseudo = self
            .slot(column.id)
            .is_some_and(|slot| types::kind(slot.type_oid) == pg_sys::TYPTYPE_PSEUDO);
        if is_pseudo {
            self.refuse(
                &RECORD,
                format!("{} of type {}", column.name, column.ty.sql),
            );
        }
    }

    fn calls_in(&self, output: Node, grouping: &Grouping) -> Vec<node::NodeOf<pg_sys::Aggref>> {
        let mut calls = Vec::new();
        output.walk(&mut |node| {
            if grouping.find(node).is_some() {
                return Walk::Skip;
            }
            match node.cast::<pg_sys::Aggref>() {
                Some(call) => {
                    calls.push(call);
                    Walk::Skip
                }
                None => Walk::Descend,
            }
        });
        calls
    }

    fn check_grouping_sets(&mut self, query: &pg_sys::Query) {
        use pg_sys::GroupingSetKind::GROUPING_SET_EMPTY;
        let sets = node::list_of::<pg_sys::GroupingSet>(query.groupingSets);
        let is_plain = match sets.as_slice() {
            [] => true,
            [set] => set.kind == GROUPING_SET_EMPTY,
            _ => false,
        };
        if !is_plain {
            self.refuse(&GROUPING_SETS, "GROUPING SETS, ROLLUP or CUBE");
        }
    }
}

/// Vars above the grouping that are neither inside a key nor inside an aggregate.
fn vars_outside(output: Node, grouping: &Grouping) -> Vec<Node> {
    let mut vars = Vec::new();
    output.walk(&mut |node| {
        if grouping.find(node).is_some() || node.is::<pg_sys::Aggref>() {
            return Walk::Skip;
        }
        if let Some(var) = node.cast::<pg_sys::Var>()
            && var.varlevelsup == 0
        {
            vars.push(node);
        }
        Walk::Descend
    });
    vars
}

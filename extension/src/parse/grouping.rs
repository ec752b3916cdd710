//! GROUP BY, aggregates and HAVING of one query level; [`super::grouping_sets`] handles several groupings.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Aggregate, Column, Expr, Relation};

use super::analyzer::Analyzer;
use super::computed::with_sets;
use super::group_columns::Grouping;
use super::scope::Level;
use super::stage::Stage;
use crate::capability::{
    GROUP_BY, HAVING, KEY_OF_PARENT, RECORD, SET_RETURNING_KEY, UNSORTABLE_KEY,
};
use crate::error::Result;
use crate::pg::levels;
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::{query, types};

/// A grouping key.
pub(super) struct Key {
    /// The column that carries it.
    pub column: Column,
    /// Its value over the input.
    pub expr: Expr,
    /// What GROUP BY calls it; none for a column that depends on grouped primary keys.
    pub reference: Option<u32>,
}

/// A grouping before it is known which keys group.
pub(super) struct Grouped {
    /// The rows.
    pub input: Relation,
    /// All keys.
    pub keys: Vec<Key>,
    /// The aggregates.
    pub aggregates: Vec<Aggregate>,
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
        level: &Level<'_>,
        input: Relation,
        outputs: &[Node],
    ) -> Result<(Relation, Grouping)> {
        let mut grouping = Grouping::default();
        let mut stage = Stage::new(level, None);
        let mut sets = Vec::new();
        let keys = self.keys(&mut stage, &mut grouping, outputs, &mut sets)?;
        let mut aggregates: Vec<Aggregate> = Vec::new();
        for output in outputs {
            for call in calls_in(*output, &grouping) {
                if grouping.find(call.node(), 0).is_none() {
                    let aggregate = self.aggregate(&mut stage, &grouping, call)?;
                    grouping.add(call.node(), aggregate.column.id);
                    aggregates.push(aggregate);
                }
            }
        }
        self.note(&GROUP_BY, format!("{} keys", keys.len()));
        let grouped = Grouped {
            input: with_sets(stage.over(input), sets),
            keys,
            aggregates,
        };
        let relation = self.grouped(level, grouped, &mut grouping, outputs);
        let having = Node::new(level.query.havingQual);
        if having.is_some() {
            self.note(&HAVING, "HAVING");
        }
        let relation = self.filter(Stage::new(level, Some(&grouping)), relation, having)?;
        Ok((relation, grouping))
    }

    /// The grouping keys, then the columns that the server lets through because they depend on
    /// grouped primary keys: they are the same in all rows of a group, so they may be keys too. `sets` are keys that
    /// have several values for a row, which the server makes in lockstep before it groups.
    fn keys(
        &mut self,
        stage: &mut Stage<'_>,
        grouping: &mut Grouping,
        outputs: &[Node],
        sets: &mut Vec<(Column, Expr)>,
    ) -> Result<Vec<Key>> {
        let query = stage.level.query;
        let targets = node::list_of::<pg_sys::TargetEntry>(query.targetList);
        let mut keys = Vec::new();
        for clause in node::list_of::<pg_sys::SortGroupClause>(query.groupClause) {
            let target = targets
                .iter()
                .find(|t| t.ressortgroupref == clause.tleSortGroupRef);
            let Some(target) = target else { continue };
            let Some(expr) = Node::new(target.expr) else {
                continue;
            };
            let flat = query::flatten(query, expr);
            let name = node::text(target.resname);
            let key = self.key(stage, flat, name, Some(clause.tleSortGroupRef), sets)?;
            grouping.add(flat, key.column.id);
            (grouping.keys).push((clause.tleSortGroupRef, key.column.id));
            keys.push(key);
        }
        self.check_dependent(&query, outputs, grouping);
        for output in outputs {
            for var in vars_outside(*output, grouping) {
                if grouping.find(var, 0).is_none() {
                    let key = self.key(stage, var, String::new(), None, sets)?;
                    grouping.add(var, key.column.id);
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }

    /// Refuses a column that the server takes for one that depends on the grouped primary key of a parent:
    /// the rows of its children may share that key.
    fn check_dependent(&mut self, query: &pg_sys::Query, outputs: &[Node], grouping: &Grouping) {
        let entries = node::list_of::<pg_sys::RangeTblEntry>(query.rtable);
        for var in outputs.iter().flat_map(|o| vars_outside(*o, grouping)) {
            let entry = var.cast::<pg_sys::Var>().and_then(|var| {
                let index = usize::try_from(var.varno).ok()?.checked_sub(1)?;
                entries.get(index).copied()
            });
            if let Some(entry) = entry.filter(|entry| entry.inh)
                && let Some(facts) = self.table(entry.relid).filter(|f| f.has_children)
            {
                self.refuse(&KEY_OF_PARENT, facts.qualified.clone());
                return;
            }
        }
    }

    fn key(
        &mut self,
        stage: &mut Stage<'_>,
        flat: Node,
        name: String,
        reference: Option<u32>,
        sets: &mut Vec<(Column, Expr)>,
    ) -> Result<Key> {
        let bound = self.bind(stage, flat)?;
        let mut expr = self.expression(bound);
        if types::returns_set(bound) {
            self.note(&SET_RETURNING_KEY, "set-returning function in GROUP BY");
            let (column, rows) = self.set_output(bound, expr);
            expr = Expr::of(&column);
            sets.push((column, rows));
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
        Ok(Key {
            column,
            expr,
            reference,
        })
    }

    /// Refuses keys that no state table or no btree index can hold.
    pub fn check_key(&mut self, column: &Column) {
        self.check_storable(column);
        if self.is_storable(column) && !column.ty.sortable {
            self.refuse(
                &UNSORTABLE_KEY,
                format!("{} of type {}", column.name, column.ty.sql),
            );
        }
    }

    /// Refuses columns of a grouping that no table can have.
    pub fn check_storable(&mut self, column: &Column) {
        if !self.is_storable(column) {
            self.refuse(
                &RECORD,
                format!("{} of type {}", column.name, column.ty.sql),
            );
        }
    }

    fn is_storable(&self, column: &Column) -> bool {
        self.slot(column.id)
            .is_none_or(|slot| types::kind(slot.type_oid) != pg_sys::TYPTYPE_PSEUDO)
    }
}

/// The aggregate calls of this level in an expression above the grouping, as they read at this level.
fn calls_in(output: Node, grouping: &Grouping) -> Vec<NodeOf<pg_sys::Aggref>> {
    let mut calls = Vec::new();
    levels::walk_levels(output, &mut |node, level| {
        if grouping.find(node, level).is_some() {
            return Walk::Skip;
        }
        match node.cast::<pg_sys::Aggref>() {
            Some(call) if call.agglevelsup == level => {
                let here = levels::shift_levels(node, -(level as i32));
                calls.extend(here.cast());
                Walk::Skip
            }
            _ => Walk::Descend,
        }
    });
    calls
}

/// Vars of this level above the grouping that are neither inside a key nor inside an aggregate, as they
/// read at this level. Direct arguments of an aggregate are outside of it.
fn vars_outside(output: Node, grouping: &Grouping) -> Vec<Node> {
    let mut vars = Vec::new();
    levels::walk_levels(output, &mut |node, level| {
        if node.is::<pg_sys::GroupingFunc>() || grouping.find(node, level).is_some() {
            return Walk::Skip;
        }
        let call = node.cast::<pg_sys::Aggref>();
        if let Some(call) = call.filter(|call| call.agglevelsup == level) {
            for argument in node::list(call.aggdirectargs) {
                let here = levels::shift_levels(argument, -(level as i32));
                vars.extend(vars_outside(here, grouping));
            }
            return Walk::Skip;
        }
        if node
            .cast::<pg_sys::Var>()
            .is_some_and(|var| var.varlevelsup == level)
        {
            vars.push(levels::shift_levels(node, -(level as i32)));
        }
        Walk::Descend
    });
    vars
}

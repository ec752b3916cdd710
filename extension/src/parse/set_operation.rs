//! UNION ALL, nested as deep as it is written, as one bag union.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Expr, Relation};

use super::analyzer::{Access, Analyzer, Derived, Scope};
use super::range::Needed;
use super::scale::Scale;
use crate::capability::{SET_OPERATION, UNION_ALL, UNKNOWN_CONSTRUCT};
use crate::error::Result;
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::query;

/// Type, modifier and collation of an output column.
type Shape = (pg_sys::Oid, i32, pg_sys::Oid);

/// What the server says where it coerces the arms.
const CONTEXT: &CStr = c"UNION/INTERSECT/EXCEPT";

impl Analyzer {
    /// Analyses a tree of UNION ALL.
    pub fn union_all(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        operation: NodeOf<pg_sys::SetOperationStmt>,
        scope: &Scope<'_>,
        access: &Access,
        needed: &Needed,
    ) -> Result<Derived> {
        let mut arms = Vec::new();
        self.arms(operation.node(), &mut arms);
        let names: Vec<String> = node::list_of::<pg_sys::TargetEntry>(query.targetList)
            .into_iter()
            .filter(|target| !target.resjunk)
            .map(|target| node::text(target.resname))
            .collect();
        let shapes: Vec<Shape> = node::oid_list(operation.colTypes)
            .into_iter()
            .zip(node::int_list(operation.colTypmods))
            .zip(node::oid_list(operation.colCollations))
            .map(|((type_oid, typmod), collation)| (type_oid, typmod, collation))
            .collect();
        let outputs: Vec<usize> = (0..shapes.len())
            .filter(|i| needed.contains(*i as i16 + 1))
            .collect();
        let entries = node::list_of::<pg_sys::RangeTblEntry>(query.rtable);

        let mut inputs = Vec::new();
        let mut nullable = vec![false; outputs.len()];
        let mut explicit = vec![false; outputs.len()];
        let mut scales = vec![Scale::Any; outputs.len()];
        for arm in arms {
            let subquery = (arm as usize)
                .checked_sub(1)
                .and_then(|i| entries.get(i))
                .and_then(|entry| Node::new(entry.subquery)?.cast::<pg_sys::Query>());
            let Some(subquery) = subquery else {
                self.refuse(&UNKNOWN_CONSTRUCT, "arm of a set operation");
                continue;
            };
            let derived = self.query(subquery, Some(scope), access, needed)?;
            let mut exprs = Vec::with_capacity(outputs.len());
            for (i, position) in outputs.iter().enumerate() {
                let (expr, scale, collates) = self.coerced(&derived, *position, &shapes);
                if let Some(flag) = explicit.get_mut(i) {
                    *flag |= collates;
                }
                if let Some(flag) = nullable.get_mut(i) {
                    *flag |= expr.nullable;
                }
                if let Some(common) = scales.get_mut(i) {
                    *common = common.either(scale);
                }
                exprs.push(expr);
            }
            inputs.push((derived.relation, exprs));
        }
        self.note(&UNION_ALL, format!("{} arms", inputs.len()));

        let mut ids = vec![None; shapes.len()];
        let mut columns = Vec::with_capacity(outputs.len());
        for (i, position) in outputs.iter().enumerate() {
            let (Some(shape), Some(id)) = (shapes.get(*position), ids.get_mut(*position)) else {
                continue;
            };
            let name = names.get(*position).cloned().unwrap_or_default();
            let can_be_null = nullable.get(i).copied().unwrap_or(true);
            let scale = scales.get(i).copied().unwrap_or(Scale::Unknown);
            let column = self.add_column(name, *shape, can_be_null, scale);
            self.set_explicit_collation(column.id, explicit.get(i).copied().unwrap_or(true));
            *id = Some(column.id);
            columns.push(column);
        }
        Ok(Derived {
            relation: Relation::UnionAll { columns, inputs },
            columns: ids,
            ordered: node::list_length(query.sortClause) > 0,
        })
    }

    /// Range table indexes of the arms, left to right.
    fn arms(&mut self, operation: Node, arms: &mut Vec<i32>) {
        node::check_stack_depth();
        if let Some(reference) = operation.cast::<pg_sys::RangeTblRef>() {
            arms.push(reference.rtindex);
            return;
        }
        let Some(operation) = operation.cast::<pg_sys::SetOperationStmt>() else {
            self.refuse(&UNKNOWN_CONSTRUCT, "set operation");
            return;
        };
        if operation.op != pg_sys::SetOperation::SETOP_UNION || !operation.all {
            self.refuse(&SET_OPERATION, operation_name(&operation));
        }
        for side in [operation.larg, operation.rarg] {
            if let Some(side) = Node::new(side) {
                self.arms(side, arms);
            }
        }
    }

    /// A column of an arm, coerced to the type and collation of the union's column; its scale; whether
    /// it says COLLATE.
    fn coerced(
        &mut self,
        derived: &Derived,
        position: usize,
        shapes: &[Shape],
    ) -> (Expr, Scale, bool) {
        let column = derived.columns.get(position).copied().flatten();
        let parameter = column.and_then(|id| self.parameter(id));
        let (Some(parameter), Some(shape)) = (parameter, shapes.get(position)) else {
            self.refuse(&UNKNOWN_CONSTRUCT, "column of a set operation");
            let ty = self.types.column_type(
                pg_sys::TEXTOID,
                -1,
                pg_sys::DEFAULT_COLLATION_OID,
                Scale::Unknown,
            );
            return (Expr::constant("NULL", ty, true), Scale::Unknown, false);
        };
        let coerced = query::coerce(parameter, (shape.0, shape.2), CONTEXT);
        let collates = self.says_collate(coerced);
        (self.expression(coerced), self.scale(coerced), collates)
    }
}

fn operation_name(operation: &pg_sys::SetOperationStmt) -> &'static str {
    use pg_sys::SetOperation as S;
    match (operation.op, operation.all) {
        (S::SETOP_UNION, _) => "UNION",
        (S::SETOP_INTERSECT, false) => "INTERSECT",
        (S::SETOP_INTERSECT, true) => "INTERSECT ALL",
        (S::SETOP_EXCEPT, false) => "EXCEPT",
        _ => "EXCEPT ALL",
    }
}

//! UNION, INTERSECT and EXCEPT, nested as they are written.
//!
//! ```text
//! A UNION ALL B     = A ⊎ B
//! A UNION B         = δ (A ⊎ B)
//! A INTERSECT B     = π σ nₐ > 0 ∧ nᵦ > 0 (C)      C = γ all columns; nₐ, nᵦ: rows of A, of B (A ⊎ B)
//! A EXCEPT B        = π σ nₐ > 0 ∧ nᵦ = 0 (C)
//! A INTERSECT ALL B = π (C × 1 … min(nₐ, nᵦ))
//! A EXCEPT ALL B    = π (C × 1 … nₐ − nᵦ)
//! ```
//! Rows are equal as in GROUP BY. Each operation has its own types, to which its sides are
//! coerced.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Expr, Relation};

use super::analyzer::Analyzer;
use super::derived::{Access, Derived, Needed};
use super::display_scale::Scale;
use super::limit::is_by_value;
use super::order;
use super::scope::Scope;
use crate::capability::{SET_OPERATION, UNION_ALL, UNKNOWN_CONSTRUCT};
use crate::error::Result;
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::query;

/// Type, modifier and collation of an output column.
type Shape = (pg_sys::Oid, i32, pg_sys::Oid);

/// What the server says where it coerces the arms.
const CONTEXT: &CStr = c"UNION/INTERSECT/EXCEPT";

/// The query that a set operation belongs to.
struct Around<'a> {
    entries: Vec<NodeOf<pg_sys::RangeTblEntry>>,
    names: Vec<String>,
    scope: &'a Scope<'a>,
    access: &'a Access,
}

impl<'a> Around<'a> {
    fn of(query: NodeOf<pg_sys::Query>, scope: &'a Scope<'a>, access: &'a Access) -> Self {
        Around {
            entries: node::list_of(query.rtable),
            names: node::list_of::<pg_sys::TargetEntry>(query.targetList)
                .into_iter()
                .filter(|target| !target.resjunk)
                .map(|target| node::text(target.resname))
                .collect(),
            scope,
            access,
        }
    }
}

/// Inputs of a bag union, each with one expression per column.
type Inputs = Vec<(Relation, Vec<Expr>)>;

impl Analyzer {
    /// Analyses a tree of set operations.
    pub fn set_operation(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        operation: NodeOf<pg_sys::SetOperationStmt>,
        scope: &Scope<'_>,
        access: &Access,
        needed: &Needed,
    ) -> Result<Derived> {
        let around = Around::of(query, scope, access);
        let sorted = order::read_by_cuts(&query);
        let needed = match needed {
            Needed::Only(positions) => Needed::Only(positions | &sorted),
            Needed::All => Needed::All,
        };
        let mut derived = self.operation(&around, operation, &needed)?;
        let columns = derived.columns.clone();
        let column = |position| *columns.get(usize::try_from(position - 1).ok()?)?;
        derived.relation = if is_by_value(&query) {
            let counts = [query.limitCount, query.limitOffset];
            let roots: Vec<Node> = counts.into_iter().filter_map(Node::new).collect();
            let level = self.level(query, scope.parent, access, &roots)?;
            self.limited_by_value(&level, derived.relation, &column)?
        } else {
            self.limited(query, derived.relation, &column)
        };
        derived.ordered = node::list_length(query.sortClause) > 0;
        Ok(derived)
    }

    /// The rows of both sides of a UNION, all of them. What is on the left is taken apart; the right side is the last
    /// input.
    pub(super) fn union_terms(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        operation: NodeOf<pg_sys::SetOperationStmt>,
        scope: &Scope<'_>,
        access: &Access,
        needed: &Needed,
    ) -> Result<Relation> {
        let around = Around::of(query, scope, access);
        let mut sides = Vec::new();
        if let Some(left) = Node::new(operation.larg) {
            self.sides(left, operation.all, &mut sides);
        }
        sides.extend(Node::new(operation.rarg));
        Ok(self.united(&around, operation, sides, needed)?.relation)
    }

    fn operation(
        &mut self,
        around: &Around<'_>,
        operation: NodeOf<pg_sys::SetOperationStmt>,
        needed: &Needed,
    ) -> Result<Derived> {
        use pg_sys::SetOperation as S;
        let all = Needed::All;
        if operation.op == S::SETOP_UNION {
            let needed = if operation.all { needed } else { &all };
            let mut sides = Vec::new();
            self.sides(operation.node(), operation.all, &mut sides);
            let mut union = self.united(around, operation, sides, needed)?;
            if operation.all {
                self.note(&UNION_ALL, "UNION ALL");
            } else {
                self.note(&SET_OPERATION, "UNION");
                union.relation = self.distinct(union.relation);
            }
            return Ok(union);
        }
        let sides = [operation.larg, operation.rarg].into_iter();
        let sides = sides.filter_map(Node::new).collect();
        let union = self.united(around, operation, sides, &all)?;
        self.note(&SET_OPERATION, name_of(&operation));
        self.counted(&operation, union)
    }

    /// What a union has on its sides, its own kind taken apart: UNION ALL inside of UNION ALL, both inside
    /// of UNION.
    fn sides(&mut self, item: Node, all: bool, sides: &mut Vec<Node>) {
        node::check_stack_depth();
        match item.cast::<pg_sys::SetOperationStmt>() {
            Some(operation)
                if operation.op == pg_sys::SetOperation::SETOP_UNION && (operation.all || !all) =>
            {
                for side in [operation.larg, operation.rarg]
                    .into_iter()
                    .filter_map(Node::new)
                {
                    self.sides(side, all, sides);
                }
            }
            _ => sides.push(item),
        }
    }

    /// A side of this operation.
    fn operand(
        &mut self,
        around: &Around<'_>,
        of: NodeOf<pg_sys::SetOperationStmt>,
        item: Node,
        needed: &Needed,
    ) -> Result<Derived> {
        if let Some(operation) = item.cast::<pg_sys::SetOperationStmt>() {
            return self.operation(around, operation, needed);
        }
        let subquery = item
            .cast::<pg_sys::RangeTblRef>()
            .and_then(|reference| usize::try_from(reference.rtindex).ok()?.checked_sub(1))
            .and_then(|i| around.entries.get(i))
            .and_then(|entry| Node::new(entry.subquery)?.cast::<pg_sys::Query>());
        match subquery {
            Some(subquery) => {
                query::resolve_unknowns(subquery, &node::oid_list(of.colTypes), CONTEXT);
                self.query(subquery, Some(around.scope), around.access, needed)
            }
            None => {
                self.refuse(&UNKNOWN_CONSTRUCT, "arm of a set operation");
                Ok(Derived {
                    relation: Relation::SingleRow,
                    columns: Vec::new(),
                    ordered: false,
                })
            }
        }
    }

    /// The rows of all sides, in the types of the operation.
    fn united(
        &mut self,
        around: &Around<'_>,
        operation: NodeOf<pg_sys::SetOperationStmt>,
        sides: Vec<Node>,
        needed: &Needed,
    ) -> Result<Derived> {
        let sides = sides.into_iter();
        let sides = sides.map(|side| self.operand(around, operation, side, needed));
        let sides = sides.collect::<Result<Vec<_>>>()?;
        Ok(self.union_all(around, operation, sides, needed))
    }

    fn union_all(
        &mut self,
        around: &Around<'_>,
        operation: NodeOf<pg_sys::SetOperationStmt>,
        sides: Vec<Derived>,
        needed: &Needed,
    ) -> Derived {
        let shapes: Vec<Shape> = node::oid_list(operation.colTypes)
            .into_iter()
            .zip(node::int_list(operation.colTypmods))
            .zip(node::oid_list(operation.colCollations))
            .map(|((type_oid, typmod), collation)| (type_oid, typmod, collation))
            .collect();
        let mut ids = Vec::with_capacity(shapes.len());
        let mut columns = Vec::with_capacity(shapes.len());
        let mut inputs: Inputs = sides
            .iter()
            .map(|side| (side.relation.clone(), Vec::with_capacity(shapes.len())))
            .collect();
        for (position, shape) in shapes.into_iter().enumerate() {
            if !needed.contains(position as i16 + 1) {
                ids.push(None);
                continue;
            }
            let (mut nullable, mut explicit, mut scale) = (false, false, Scale::Any);
            for (side, (_, exprs)) in sides.iter().zip(&mut inputs) {
                let (expr, of_side, collates) = self.coerced(side, position, shape);
                nullable |= expr.nullable;
                explicit |= collates;
                scale = scale.either(of_side);
                exprs.push(expr);
            }
            let name = around.names.get(position).cloned().unwrap_or_default();
            let column = self.add_column(name, shape, nullable, scale);
            self.set_explicit_collation(column.id, explicit);
            ids.push(Some(column.id));
            columns.push(column);
        }
        Derived {
            relation: Relation::UnionAll { columns, inputs },
            columns: ids,
            ordered: false,
        }
    }

    /// A column of a side, coerced to the type and collation of the operation's column; its scale;
    /// whether it says COLLATE.
    fn coerced(&mut self, side: &Derived, position: usize, shape: Shape) -> (Expr, Scale, bool) {
        let column = side.columns.get(position).copied().flatten();
        let Some(parameter) = column.and_then(|id| self.parameter(id)) else {
            self.refuse(&UNKNOWN_CONSTRUCT, "column of a set operation");
            let ty = self
                .types
                .column_type(shape.0, shape.1, shape.2, Scale::Unknown);
            return (Expr::null(&ty), Scale::Unknown, false);
        };
        let coerced = query::coerce(parameter, (shape.0, shape.2), CONTEXT);
        let collates = self.says_collate(coerced);
        (self.expression(coerced), self.scale(coerced), collates)
    }
}

fn name_of(operation: &pg_sys::SetOperationStmt) -> &'static str {
    use pg_sys::SetOperation as S;
    match (operation.op, operation.all) {
        (S::SETOP_INTERSECT, false) => "INTERSECT",
        (S::SETOP_INTERSECT, true) => "INTERSECT ALL",
        (S::SETOP_EXCEPT, false) => "EXCEPT",
        _ => "EXCEPT ALL",
    }
}

//! Rows by how often they are there: each once, or as often as INTERSECT and EXCEPT say.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Aggregate, AggregateKind, Column, Expr, Part, Predicate, Relation};

use super::analyzer::Analyzer;
use super::derived::Derived;
use super::display_scale::Scale;
use super::stage::filtered;
use crate::error::Result;

/// Type, modifier and collation.
type Shape = (pg_sys::Oid, i32, pg_sys::Oid);

const BIGINT: Shape = (pg_sys::INT8OID, -1, pg_sys::InvalidOid);
const BOOLEAN: Shape = (pg_sys::BOOLOID, -1, pg_sys::InvalidOid);

impl Analyzer {
    /// One row of each kind.
    pub(super) fn distinct(&mut self, input: Relation) -> Relation {
        let columns = input.columns();
        for column in &columns {
            self.check_key(column);
        }
        let input = Box::new(input);
        if columns.is_empty() {
            // A group without keys is always there.
            let count = self.add_column("count", BIGINT, false, Scale::Unknown);
            let some = self.positive(&count);
            return filtered(
                Relation::Aggregate {
                    input,
                    keys: Vec::new(),
                    aggregates: vec![count_star(count, None)],
                },
                vec![some],
            );
        }
        Relation::Distinct { input }
    }

    /// INTERSECT or EXCEPT over the rows of both sides.
    pub(super) fn counted(
        &mut self,
        operation: &pg_sys::SetOperationStmt,
        union: Derived,
    ) -> Result<Derived> {
        let Relation::UnionAll {
            mut columns,
            mut inputs,
        } = union.relation
        else {
            return Ok(union);
        };
        let side = self.add_column("side", BOOLEAN, false, Scale::Unknown);
        for (first, (_, exprs)) in [true, false].into_iter().zip(&mut inputs) {
            exprs.push(Expr::constant(first.to_string(), side.ty.clone(), false));
        }
        let keys: Vec<(Column, Expr)> = columns
            .iter()
            .map(|column| {
                self.check_key(column);
                let expr = Expr::of(column);
                let key = Column {
                    id: self.fresh(column.id),
                    ..column.clone()
                };
                (key, expr)
            })
            .collect();
        let first = Expr::column(side.id, side.ty.clone(), false);
        let second = Expr {
            parts: vec![Part::Sql("NOT ".into()), Part::Column(side.id)],
            ..first.clone()
        };
        columns.push(side);
        let left = self.add_column("left", BIGINT, false, Scale::Unknown);
        let right = self.add_column("right", BIGINT, false, Scale::Unknown);
        let counts = Relation::Aggregate {
            input: Box::new(Relation::UnionAll { columns, inputs }),
            keys: keys.clone(),
            aggregates: vec![
                count_star(left.clone(), Some(first)),
                count_star(right.clone(), Some(second)),
            ],
        };
        let is_except = operation.op == pg_sys::SetOperation::SETOP_EXCEPT;
        let rows = if operation.all {
            Relation::repeat(counts, &times(is_except, &left, &right))
        } else {
            let mut some = vec![self.positive(&left)];
            some.push(if is_except {
                let none = Part::Sql(" OPERATOR(pg_catalog.=) 0".into());
                self.count_condition(vec![Part::Column(right.id), none])
            } else {
                self.positive(&right)
            });
            filtered(counts, some)
        };
        let shown = keys.iter().map(|(key, _)| (key.clone(), Expr::of(key)));
        Ok(Derived {
            relation: rows.projected(shown.collect()),
            columns: keys.iter().map(|(key, _)| Some(key.id)).collect(),
            ordered: false,
        })
    }

    fn positive(&mut self, count: &Column) -> Predicate {
        let parts = vec![
            Part::Column(count.id),
            Part::Sql(" OPERATOR(pg_catalog.>) 0".into()),
        ];
        self.count_condition(parts)
    }

    fn count_condition(&mut self, parts: Vec<Part>) -> Predicate {
        Predicate {
            expr: Expr {
                parts,
                ty: self
                    .types
                    .column_type(BOOLEAN.0, BOOLEAN.1, BOOLEAN.2, Scale::Unknown),
                nullable: false,
            },
            equality: None,
        }
    }
}

/// How often INTERSECT ALL or EXCEPT ALL shows a row.
fn times(is_except: bool, left: &Column, right: &Column) -> Expr {
    let sql = |text: &str| Part::Sql(text.to_owned());
    let (before, between, after) = if is_except {
        ("", " OPERATOR(pg_catalog.-) ", "")
    } else {
        ("LEAST(", ", ", ")")
    };
    Expr {
        parts: vec![
            sql(before),
            Part::Column(left.id),
            sql(between),
            Part::Column(right.id),
            sql(after),
        ],
        ty: left.ty.clone(),
        nullable: false,
    }
}

fn count_star(column: Column, filter: Option<Expr>) -> Aggregate {
    let mut parts = vec![Part::Sql("count(*)".into())];
    if let Some(filter) = &filter {
        parts.push(Part::Sql(" FILTER (WHERE ".into()));
        parts.extend(filter.parts.iter().cloned());
        parts.push(Part::Sql(")".into()));
    }
    Aggregate {
        kind: AggregateKind::CountStar,
        call: Expr {
            parts,
            ty: column.ty.clone(),
            nullable: false,
        },
        argument: None,
        filter,
        distinct: false,
        column,
    }
}

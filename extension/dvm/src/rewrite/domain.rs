//! The distinct values of some columns of a relation: the "magic set" of Neumann and Kemper, Unnesting
//! Arbitrary Queries, 2015. Values whose equality is coarser than their image are also distinguished by their text. Values
//! of a type without an order are their text, which is read back where they are used:
//!
//! ```text
//! D = δ π[p::text AS k] R,   with k::point in place of p
//! ```

use std::collections::BTreeSet;

use crate::tree::{Column, ColumnId, ColumnType, Expr, Piece, Predicate, Relation};

use super::ColumnAllocator;

/// The different values of some columns of a relation.
#[derive(Debug, Clone)]
pub(super) struct Domain {
    /// DISTINCT values.
    pub relation: Relation,
    /// What each column of `relation` shows of the row that it comes from.
    values: Vec<Value>,
}

#[derive(Debug, Clone)]
struct Value {
    /// The value, over the columns of the relation it comes from.
    of: Expr,
    /// The column with it.
    column: Column,
    role: Role,
}

#[derive(Debug, Clone)]
enum Role {
    /// Stands for the column that it is.
    Whole,
    /// Only distinguishes equal values with different images.
    Image,
    /// The text of this column, which is read back in its place.
    Text(Column),
}

/// What stands for columns of the relation.
pub(super) struct StandIns(Vec<(ColumnId, Expr)>);

impl StandIns {
    fn of(&self, id: ColumnId) -> Option<&Expr> {
        let mut stand_ins = self.0.iter();
        stand_ins.find(|(of, _)| *of == id).map(|(_, expr)| expr)
    }

    /// The expression over them.
    pub fn in_expr(&self, expr: &Expr) -> Expr {
        expr.substitute(|id| self.of(id))
    }

    /// The relation over them.
    pub fn in_relation(&self, mut relation: Relation) -> Relation {
        for expr in relation.exprs_mut() {
            if expr.columns().into_iter().any(|id| self.of(id).is_some()) {
                *expr = self.in_expr(expr);
            }
        }
        for id in relation.partition_mut() {
            if let Some(stand_in) = self.of(*id).and_then(Expr::as_column) {
                *id = stand_in;
            }
        }
        relation.map_inputs(&mut |input| self.in_relation(input))
    }
}

impl Domain {
    /// The values of the columns `read` of `relation`.
    pub fn of(
        relation: &Relation,
        read: &BTreeSet<ColumnId>,
        columns: &mut ColumnAllocator,
    ) -> Result<Self, crate::Error> {
        let (input, names) = columns.relabel(relation.clone());
        let mut values = Vec::new();
        for column in relation.columns().iter().filter(|c| read.contains(&c.id)) {
            if !column.ty.sortable && !column.ty.reads_back {
                return Err(crate::Error::CannotUnnest {
                    reason: "an outer column that decides on a match has a type without an order",
                });
            }
            let value = |columns: &mut ColumnAllocator, of: Expr, role| Value {
                column: columns.column(column.name.clone(), of.ty.clone(), column.nullable),
                of,
                role,
            };
            if !column.ty.sortable {
                let text = Role::Text(column.clone());
                values.push(value(columns, image_text(column)?, text));
                continue;
            }
            values.push(value(columns, Expr::of(column), Role::Whole));
            if !column.ty.image_equality {
                values.push(value(columns, image_text(column)?, Role::Image));
            }
        }
        let projected = values
            .iter()
            .map(|v| (v.column.clone(), v.of.clone().relabelled(&names)))
            .collect();
        Ok(Domain {
            relation: input.projected(projected).distinct(),
            values,
        })
    }

    /// The condition with the domain's columns in place of those that they come from.
    pub fn bound(&self, predicate: &Predicate) -> Predicate {
        let own: Vec<Column> = self.values.iter().map(|v| v.column.clone()).collect();
        let stand_ins = self.stand_ins(&own);
        predicate.map(|expr| stand_ins.in_expr(expr))
    }

    /// The domain under identities of its own, and its columns.
    pub fn copy(&self, columns: &mut ColumnAllocator) -> (Relation, Vec<Column>) {
        let (relation, _) = columns.relabel(self.relation.clone());
        let copies = relation.columns();
        (relation, copies)
    }

    /// What stands for each column that the domain shows the values of, over its columns in `copies`.
    pub fn stand_ins(&self, copies: &[Column]) -> StandIns {
        let stand_in = |(value, copy): (&Value, &Column)| match &value.role {
            Role::Whole => Some((value.of.as_column()?, Expr::of(copy))),
            Role::Image => None,
            Role::Text(column) => Some((column.id, read_back(copy, column))),
        };
        StandIns(
            self.values
                .iter()
                .zip(copies)
                .filter_map(stand_in)
                .collect(),
        )
    }

    /// What connects a row to its values in `copies`, columns like those of the domain.
    pub fn links(&self, copies: &[Column]) -> Vec<Predicate> {
        self.values
            .iter()
            .zip(copies)
            .map(|(value, copy)| Predicate::same(&value.of, &Expr::of(copy)))
            .collect()
    }
}

/// The value of a column from its text.
fn read_back(text: &Column, column: &Column) -> Expr {
    let of_type = format!("::{}", column.ty.sql);
    Expr::composed(
        [Piece::Expr(&Expr::of(text)), Piece::Sql(&of_type)],
        column.ty.clone(),
        column.nullable,
    )
}

/// The text of a value, which differs where its image does.
fn image_text(column: &Column) -> Result<Expr, crate::Error> {
    let ty = ColumnType {
        sql: "text".into(),
        collation: Some("pg_catalog.\"C\"".into()),
        bounded: column.ty.bounded,
        ..ColumnType::integer()
    };
    if column.ty.sql.starts_with("character") || column.ty.sql.contains("bpchar") {
        return Err(crate::Error::CannotUnnest {
            reason: "an outer column that decides on a match has a type whose equal values can look different",
        });
    }
    Ok(Expr::composed(
        [
            Piece::Sql("("),
            Piece::Expr(&Expr::of(column)),
            Piece::Sql("::pg_catalog.text COLLATE pg_catalog.\"C\")"),
        ],
        ty,
        column.nullable,
    ))
}

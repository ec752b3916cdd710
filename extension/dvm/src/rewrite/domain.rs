//! The distinct values of some columns of a relation: the "magic set" of Neumann and Kemper, Unnesting
//! Arbitrary Queries, 2015. Values whose equality is coarser than their image are also distinguished by their text.

use std::collections::{BTreeSet, HashMap};

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
    /// Whether it only distinguishes equal values with different images.
    is_image: bool,
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
            if !column.ty.sortable {
                return Err(crate::Error::CannotUnnest {
                    reason: "an outer column that decides on a match has a type without an order",
                });
            }
            let value = |columns: &mut ColumnAllocator, of: Expr, is_image| Value {
                column: columns.column(column.name.clone(), of.ty.clone(), column.nullable),
                of,
                is_image,
            };
            values.push(value(columns, Expr::of(column), false));
            if !column.ty.image_equality {
                values.push(value(columns, image_text(column)?, true));
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
        let stands_for: Vec<(ColumnId, Expr)> = self
            .values
            .iter()
            .filter(|v| !v.is_image)
            .filter_map(|v| Some((v.of.as_column()?, Expr::of(&v.column))))
            .collect();
        predicate.map(|expr| {
            expr.substitute(|id| stands_for.iter().find(|(o, _)| *o == id).map(|(_, e)| e))
        })
    }

    /// The domain under identities of its own, and its columns.
    pub fn copy(&self, columns: &mut ColumnAllocator) -> (Relation, Vec<Column>) {
        let (relation, _) = columns.relabel(self.relation.clone());
        let copies = relation.columns();
        (relation, copies)
    }

    /// Which of `copies` stands for each column that the domain shows the values of.
    pub fn stand_ins(&self, copies: &[Column]) -> HashMap<ColumnId, ColumnId> {
        self.values
            .iter()
            .zip(copies)
            .filter(|(value, _)| !value.is_image)
            .filter_map(|(value, copy)| Some((value.of.as_column()?, copy.id)))
            .collect()
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

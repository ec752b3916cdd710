//! Expressions: text printed by the server, with holes where columns stand.

use std::collections::BTreeSet;

use super::column::{Column, ColumnId, ColumnType};

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// SQL text, printed by the server under `search_path = pg_catalog`.
    Sql(String),
    /// A column.
    Column(ColumnId),
}

/// A deterministic scalar expression. A delta rule only chooses what a column *stands for*, so the
/// text itself is never edited.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expr {
    /// Text and holes, in order.
    pub parts: Vec<Part>,
    /// Type of the value.
    pub ty: ColumnType,
    /// Whether the value can be NULL. True when in doubt.
    pub nullable: bool,
}

/// A piece of a composed expression.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// Text of the engine's own.
    Sql(&'a str),
    /// An expression.
    Expr(&'a Expr),
}

impl Expr {
    /// The expression that is just this column.
    pub fn column(id: ColumnId, ty: ColumnType, nullable: bool) -> Self {
        Self {
            parts: vec![Part::Column(id)],
            ty,
            nullable,
        }
    }

    /// An expression without columns.
    pub fn constant(sql: impl Into<String>, ty: ColumnType, nullable: bool) -> Self {
        Self {
            parts: vec![Part::Sql(sql.into())],
            ty,
            nullable,
        }
    }

    /// The value of a column.
    pub fn of(column: &Column) -> Self {
        Self::column(column.id, column.ty.clone(), column.nullable)
    }

    /// NULL of a type.
    pub fn null(ty: &ColumnType) -> Self {
        Self::constant(ty.null_sql(), ty.clone(), true)
    }

    /// A boolean made of text and of other expressions, which stand in parentheses.
    pub fn truth<'a>(pieces: impl IntoIterator<Item = Piece<'a>>, nullable: bool) -> Self {
        Self::composed(pieces, ColumnType::boolean(), nullable)
    }

    /// An expression made of text and of other expressions, which stand in parentheses.
    pub fn composed<'a>(
        pieces: impl IntoIterator<Item = Piece<'a>>,
        ty: ColumnType,
        nullable: bool,
    ) -> Self {
        let mut parts = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Sql(sql) => parts.push(Part::Sql(sql.into())),
                Piece::Expr(expr) if expr.as_column().is_some() => {
                    parts.extend(expr.parts.iter().cloned());
                }
                Piece::Expr(expr) => {
                    parts.push(Part::Sql("(".into()));
                    parts.extend(expr.parts.iter().cloned());
                    parts.push(Part::Sql(")".into()));
                }
            }
        }
        Self {
            parts,
            ty,
            nullable,
        }
    }

    /// The column, if the expression is nothing but one.
    pub fn as_column(&self) -> Option<ColumnId> {
        match self.parts.as_slice() {
            [Part::Column(id)] => Some(*id),
            _ => None,
        }
    }

    /// How many times the expression names a column.
    pub fn count_columns(&self) -> usize {
        let columns = self.parts.iter();
        columns
            .filter(|part| matches!(part, Part::Column(_)))
            .count()
    }

    /// The columns that the expression reads.
    pub fn columns(&self) -> BTreeSet<ColumnId> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::Column(id) => Some(*id),
                Part::Sql(_) => None,
            })
            .collect()
    }

    /// The expression with columns replaced by expressions, in parentheses where they are not
    /// plain columns. Columns for which `replace` has nothing stay.
    pub fn substitute<'a>(&self, replace: impl Fn(ColumnId) -> Option<&'a Expr>) -> Self {
        let whole = self.as_column();
        if let Some(expr) = whole.and_then(&replace) {
            return expr.clone();
        }
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let replacement = match part {
                Part::Column(id) => replace(*id),
                Part::Sql(_) => None,
            };
            match replacement {
                None => parts.push(part.clone()),
                Some(expr) if expr.as_column().is_some() => {
                    parts.extend(expr.parts.iter().cloned());
                }
                Some(expr) => {
                    parts.push(Part::Sql("(".into()));
                    parts.extend(expr.parts.iter().cloned());
                    parts.push(Part::Sql(")".into()));
                }
            }
        }
        Self {
            parts,
            ty: self.ty.clone(),
            nullable: self.nullable,
        }
    }

    /// The text, with each column printed by `name`.
    pub fn render(&self, name: impl Fn(ColumnId) -> String) -> String {
        let mut sql = String::new();
        for part in &self.parts {
            match part {
                Part::Sql(text) => sql.push_str(text),
                Part::Column(id) => sql.push_str(&name(*id)),
            }
        }
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::testing::{expr, integer};

    #[test]
    fn expressions_take_the_place_of_columns_in_parentheses() {
        let sum = expr("$1 + $2");
        let column = expr("$3");
        for (text, expected) in [
            ("$9", "$1 + $2"),
            ("$9 * 2", "($1 + $2) * 2"),
            ("$8 * $9", "$3 * ($1 + $2)"),
            ("$8", "$3"),
            ("$7 || 'a $9'", "$7 || 'a $9'"),
        ] {
            let replaced = expr(text).substitute(|id| match id.0 {
                8 => Some(&column),
                9 => Some(&sum),
                _ => None,
            });
            assert_eq!(replaced.render(|id| format!("${}", id.0)), expected);
        }
    }

    #[test]
    fn a_column_alone_is_known_as_one() {
        assert_eq!(expr("$4").as_column(), Some(ColumnId(4)));
        assert_eq!(expr("($4)").as_column(), None);
        assert_eq!(Expr::constant("1", integer(), false).as_column(), None);
        let reads: Vec<u32> = expr("$4 + $2 * $4").columns().iter().map(|c| c.0).collect();
        assert_eq!(reads, [2, 4]);
    }
}

//! Builders of relations, conditions and expressions.

use super::aggregate::Aggregate;
use super::column::{Column, ColumnType};
use super::expr::{Expr, Piece};
use super::relation::{Predicate, Relation};

impl Relation {
    /// The rows that satisfy every conjunct.
    pub fn filtered(self, predicates: Vec<Predicate>) -> Self {
        match predicates.is_empty() {
            true => self,
            false => Relation::Filter {
                input: Box::new(self),
                predicates,
            },
        }
    }

    /// Computed columns.
    pub fn projected(self, columns: Vec<(Column, Expr)>) -> Self {
        Relation::Project {
            input: Box::new(self),
            columns,
        }
    }

    /// Inner join.
    pub fn joined(self, right: Relation, predicates: Vec<Predicate>) -> Self {
        Relation::Join {
            left: Box::new(self),
            right: Box::new(right),
            predicates,
        }
    }

    /// Left outer join; `present` says of a row whether it has a match.
    pub fn left_joined(
        self,
        right: Relation,
        predicates: Vec<Predicate>,
        present: Option<Column>,
    ) -> Self {
        Relation::LeftJoin {
            left: Box::new(self),
            right: Box::new(right),
            predicates,
            present,
        }
    }

    /// Each row once.
    pub fn distinct(self) -> Self {
        Relation::Distinct {
            input: Box::new(self),
        }
    }

    /// Grouping.
    pub fn grouped(self, keys: Vec<(Column, Expr)>, aggregates: Vec<Aggregate>) -> Self {
        Relation::Aggregate {
            input: Box::new(self),
            keys,
            aggregates,
        }
    }
}

impl Predicate {
    /// A condition that fixes nothing.
    pub fn of(expr: Expr) -> Self {
        Predicate {
            expr,
            equality: None,
        }
    }

    /// `a = b`, by the default equality of b's type.
    pub fn equality(a: &Expr, b: &Expr) -> Self {
        Self::fixing(a, b, Vec::new(), a.nullable || b.nullable)
    }

    /// `a IS NOT DISTINCT FROM b` in a form that indexes serve. It fixes either side as an equality does.
    pub fn same(a: &Expr, b: &Expr) -> Self {
        if !a.nullable || !b.nullable {
            return Self::equality(a, b);
        }
        Self::equal_or_both_null(a, b)
    }

    /// Both sides of a condition that holds where they are equal or both NULL, as [`Predicate::same`] writes it.
    pub fn null_safe(&self) -> Option<(&Expr, &Expr)> {
        let (a, b) = self.equality.as_ref()?;
        let same = Self::equal_or_both_null(a, b);
        (self.expr.parts == same.expr.parts).then_some((a, b))
    }

    fn equal_or_both_null(a: &Expr, b: &Expr) -> Self {
        let or_both_null = vec![
            Piece::Sql(" OR "),
            Piece::Expr(a),
            Piece::Sql(" IS NOT DISTINCT FROM NULL AND "),
            Piece::Expr(b),
            Piece::Sql(" IS NOT DISTINCT FROM NULL"),
        ];
        Self::fixing(a, b, or_both_null, false)
    }

    /// `(a = b …)`, which fixes either side.
    fn fixing(a: &Expr, b: &Expr, more: Vec<Piece<'_>>, nullable: bool) -> Self {
        let equal = format!(" {} ", b.ty.equality);
        let mut pieces = vec![
            Piece::Sql("("),
            Piece::Expr(a),
            Piece::Sql(&equal),
            Piece::Expr(b),
        ];
        pieces.extend(more);
        pieces.push(Piece::Sql(")"));
        Predicate {
            expr: Expr::truth(pieces, nullable),
            equality: Some((a.clone(), b.clone())),
        }
    }
}

impl Expr {
    /// `true` or `false`.
    pub fn known(value: bool) -> Self {
        Self::constant(value.to_string(), ColumnType::boolean(), false)
    }

    /// The expression, in parentheses where it is not a plain column, then `text`: a boolean that is never NULL.
    pub fn is(&self, text: &str) -> Self {
        Self::truth([Piece::Expr(self), Piece::Sql(text)], false)
    }

    /// `NOT condition`.
    pub fn negated(&self) -> Self {
        Self::truth([Piece::Sql("NOT "), Piece::Expr(self)], self.nullable)
    }

    /// `CASE WHEN condition THEN value [ELSE otherwise] END`.
    pub fn case(condition: &Expr, value: &Expr, otherwise: Option<&Expr>) -> Self {
        let mut pieces = vec![
            Piece::Sql("CASE WHEN "),
            Piece::Expr(condition),
            Piece::Sql(" THEN "),
            Piece::Expr(value),
        ];
        if let Some(otherwise) = otherwise {
            pieces.extend([Piece::Sql(" ELSE "), Piece::Expr(otherwise)]);
        }
        pieces.push(Piece::Sql(" END"));
        let nullable = value.nullable || otherwise.is_none_or(|expr| expr.nullable);
        Self::composed(pieces, value.ty.clone(), nullable)
    }

    /// Whether every condition is true; `None` without conditions.
    pub fn all_true(conditions: &[Expr]) -> Option<Self> {
        let mut pieces = Vec::new();
        for condition in conditions {
            if !pieces.is_empty() {
                pieces.push(Piece::Sql(" AND "));
            }
            pieces.push(Piece::Expr(condition));
        }
        if pieces.is_empty() {
            return None;
        }
        pieces.insert(0, Piece::Sql("("));
        pieces.push(Piece::Sql(") IS TRUE"));
        Some(Self::truth(pieces, false))
    }
}

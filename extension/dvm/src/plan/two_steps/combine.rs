//! Aggregates of aggregates.

use crate::rewrite::ColumnAllocator;
use crate::tree::{Aggregate, AggregateKind, ColumnType, Expr, Piece};

/// A grouping in two steps.
pub(super) struct Twice<'a> {
    columns: &'a mut ColumnAllocator,
    /// What each group of shards computes.
    pub partial: Vec<Aggregate>,
    /// What is computed of that.
    pub combined: Vec<Aggregate>,
}

/// Whether an aggregate can be computed of what groups of shards have computed.
pub(super) fn is_combinable(aggregate: &Aggregate) -> bool {
    !aggregate.distinct && aggregate.kind != AggregateKind::Recompute
}

impl<'a> Twice<'a> {
    pub fn new(columns: &'a mut ColumnAllocator) -> Self {
        Twice {
            columns,
            partial: Vec::new(),
            combined: Vec::new(),
        }
    }

    /// Adds an aggregate. Its result, over the combined ones.
    pub fn combine(&mut self, aggregate: &Aggregate) -> Expr {
        let ty = &aggregate.column.ty;
        let same = |kind| (aggregate.clone(), kind);
        match aggregate.kind {
            AggregateKind::CountStar | AggregateKind::Count => {
                let count = self.sum(same(AggregateKind::SumInteger), &numeric());
                let pieces = [
                    Piece::Sql("COALESCE("),
                    Piece::Expr(&count),
                    Piece::Sql(", 0)::bigint"),
                ];
                Expr::composed(pieces, ty.clone(), false)
            }
            AggregateKind::SumInteger if ty.sql == "bigint" => {
                let sum = self.sum(same(AggregateKind::SumInteger), &numeric());
                let pieces = [Piece::Expr(&sum), Piece::Sql("::bigint")];
                Expr::composed(pieces, ty.clone(), true)
            }
            AggregateKind::SumInteger => {
                self.sum(same(AggregateKind::SumNumeric { scale: Some(0) }), ty)
            }
            AggregateKind::SumNumeric { .. } => self.sum(same(aggregate.kind), ty),
            AggregateKind::AvgInteger => {
                let kind = AggregateKind::SumNumeric { scale: Some(0) };
                self.average(aggregate, "::bigint", kind)
            }
            AggregateKind::AvgNumeric { scale } => {
                self.average(aggregate, "", AggregateKind::SumNumeric { scale })
            }
            AggregateKind::Min => self.again("min", same(aggregate.kind), ty),
            AggregateKind::Max => self.again("max", same(aggregate.kind), ty),
            AggregateKind::BoolAnd => self.again("bool_and", same(aggregate.kind), ty),
            AggregateKind::BoolOr | AggregateKind::Recompute => {
                self.again("bool_or", same(AggregateKind::BoolOr), ty)
            }
        }
    }

    /// The server divides the sum, as `numeric`, by the count, as `numeric`, too.
    fn average(&mut self, aggregate: &Aggregate, cast: &str, kind: AggregateKind) -> Expr {
        let sum = of_argument(aggregate, "sum", cast, numeric());
        let count = of_argument(aggregate, "count", "", bigint());
        let sum = self.sum((sum, kind), &numeric());
        let count = self.sum((count, AggregateKind::SumInteger), &numeric());
        let pieces = [
            Piece::Expr(&sum),
            Piece::Sql(" / NULLIF("),
            Piece::Expr(&count),
            Piece::Sql(", 0)"),
        ];
        Expr::composed(pieces, aggregate.column.ty.clone(), true)
    }

    fn sum(&mut self, part: (Aggregate, AggregateKind), ty: &ColumnType) -> Expr {
        self.again("sum", part, ty)
    }

    /// Adds a partial aggregate, and the aggregate of this kind and type over it.
    fn again(
        &mut self,
        function: &str,
        (mut part, kind): (Aggregate, AggregateKind),
        ty: &ColumnType,
    ) -> Expr {
        let is_count = matches!(part.kind, AggregateKind::Count | AggregateKind::CountStar);
        part.column = (self.columns).column(function, part.column.ty, !is_count);
        let argument = Expr::of(&part.column);
        let column = self.columns.column(function, ty.clone(), true);
        let result = Expr::of(&column);
        let pieces = [
            Piece::Sql(function),
            Piece::Sql("("),
            Piece::Expr(&argument),
            Piece::Sql(")"),
        ];
        self.combined.push(Aggregate {
            column,
            kind,
            call: Expr::composed(pieces, ty.clone(), true),
            argument: Some(argument),
            filter: None,
            distinct: false,
        });
        self.partial.push(part);
        result
    }
}

/// Another aggregate of the same argument, for the same rows.
fn of_argument(aggregate: &Aggregate, function: &str, cast: &str, ty: ColumnType) -> Aggregate {
    let mut pieces = vec![Piece::Sql(function), Piece::Sql("((")];
    pieces.extend(aggregate.argument.iter().map(Piece::Expr));
    pieces.extend([Piece::Sql(")"), Piece::Sql(cast), Piece::Sql(")")]);
    if let Some(filter) = &aggregate.filter {
        pieces.extend([
            Piece::Sql(" FILTER (WHERE "),
            Piece::Expr(filter),
            Piece::Sql(")"),
        ]);
    }
    Aggregate {
        call: Expr::composed(pieces, ty.clone(), true),
        kind: match function {
            "count" => AggregateKind::Count,
            _ => aggregate.kind,
        },
        column: crate::tree::Column {
            ty,
            ..aggregate.column.clone()
        },
        ..aggregate.clone()
    }
}

fn numeric() -> ColumnType {
    ColumnType {
        sql: "numeric".into(),
        image_equality: false,
        ..ColumnType::integer()
    }
}

fn bigint() -> ColumnType {
    ColumnType {
        sql: "bigint".into(),
        ..ColumnType::integer()
    }
}

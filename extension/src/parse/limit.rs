//! LIMIT and OFFSET whose values the query computes, for instance in a subquery. They do not depend on the rows.
//!
//! ```text
//! R ORDER BY o LIMIT n OFFSET m  =  π R (σ m < p ≤ m + n (ω p := row_number() OVER (ORDER BY o) R × {(n, m)}))
//! ```
//! `{(n, m)}` is a group without keys, so a negative number fails even if there are no rows.
//! NULL means no bound. The window is maintained as any other: a changed row costs
//! in proportion to the rows whose number changes. A changed value costs a pass over all numbers, in O(R).

use pgrx::pg_sys;
use pgtrickle_dvm::canary;
use pgtrickle_dvm::tree::{
    Aggregate, AggregateKind, Ahead, Carry, Column, ColumnId, Expr, Piece, Predicate, Reach,
    Relation, Ties, WindowCall,
};

use super::analyzer::Analyzer;
use super::display_scale::Scale;
use super::order::{Count, count, targets_of};
use super::reach::comparisons;
use super::scope::Level;
use super::stage::{Stage, filtered, shown};
use crate::capability::{LIMIT_EXPRESSION, LIMIT_VALUE};
use crate::error::Result;
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::query;

/// Whether a count is not known before the query runs.
pub(super) fn is_by_value(query: &pg_sys::Query) -> bool {
    [query.limitCount, query.limitOffset]
        .into_iter()
        .any(|given| count(given) == Count::Unknown)
}

impl Analyzer {
    /// What LIMIT and OFFSET leave of `input`; `column` is that of an output column by number.
    pub fn limited_by_value(
        &mut self,
        level: &Level<'_>,
        input: Relation,
        column: &dyn Fn(i16) -> Option<ColumnId>,
    ) -> Result<Relation> {
        let query = level.query;
        if query.limitOption == pg_sys::LimitOption::LIMIT_OPTION_WITH_TIES {
            self.refuse(&LIMIT_EXPRESSION, "FETCH … WITH TIES");
            return Ok(input);
        }
        self.note(&LIMIT_VALUE, "LIMIT or OFFSET");
        let mut stage = Stage::new(level, None);
        let limit = self.rows_given(&mut stage, query.limitCount)?;
        let offset = self.rows_given(&mut stage, query.limitOffset)?;
        let mut aggregates = Vec::new();
        let mut number = |rows: Option<Expr>, keyword| {
            rows.map(|rows| self.number_of(&rows, keyword, &mut aggregates))
        };
        let (limit, offset) = (number(limit, " LIMIT "), number(offset, " OFFSET "));
        let input = self.with_columns(input);
        let ids: Vec<_> = input
            .columns()
            .iter()
            .map(|column| Some(column.id))
            .collect();
        let call = self.place(query, column);
        let place = call.column.clone();
        let numbered = Relation::Window {
            input: Box::new(input),
            partition: Vec::new(),
            calls: vec![call],
        };
        let numbers = stage
            .over(Relation::SingleRow)
            .grouped(Vec::new(), aggregates);
        let conditions = within(&place, limit.as_ref(), offset.as_ref());
        let rows = numbered.joined(numbers, Vec::new());
        Ok(shown(filtered(rows, conditions), &ids))
    }

    /// A number of rows as a column, which is computed by one of `aggregates`.
    fn number_of(&mut self, rows: &Expr, keyword: &str, aggregates: &mut Vec<Aggregate>) -> Expr {
        let is_wrong = [Piece::Expr(rows), Piece::Sql(" OPERATOR(pg_catalog.<) 0")];
        let fails = [
            Piece::Sql("SELECT "),
            Piece::Expr(rows),
            Piece::Sql(keyword),
            Piece::Expr(rows),
        ];
        Expr::of(&self.checked_number(rows, is_wrong, fails, aggregates))
    }

    /// A number as a column of a group of its own, which is computed by one of `aggregates`. A wrong one fails by a
    /// query, as it does where it stands, also where there are no rows.
    pub(super) fn checked_number<'a>(
        &mut self,
        number: &'a Expr,
        is_wrong: impl IntoIterator<Item = Piece<'a>>,
        fails: impl IntoIterator<Item = Piece<'a>>,
        aggregates: &mut Vec<Aggregate>,
    ) -> Column {
        let bigint = (pg_sys::INT8OID, -1, pg_sys::InvalidOid);
        let column = self.add_column("rows", bigint, true, Scale::Unknown);
        let pieces = std::iter::once(Piece::Sql("CASE WHEN ("))
            .chain(is_wrong)
            .chain([Piece::Sql(") THEN (")])
            .chain(fails)
            .chain([
                Piece::Sql(") ELSE "),
                Piece::Expr(number),
                Piece::Sql(" END"),
            ]);
        let argument = Expr::composed(pieces, column.ty.clone(), true);
        let call = [
            Piece::Sql("pg_catalog.max("),
            Piece::Expr(&argument),
            Piece::Sql(")"),
        ];
        aggregates.push(Aggregate {
            kind: AggregateKind::Max,
            call: Expr::composed(call, column.ty.clone(), true),
            column: column.clone(),
            argument: Some(argument),
            filter: None,
            distinct: false,
        });
        column
    }

    /// A number of rows; `None` where none is given.
    fn rows_given(
        &mut self,
        stage: &mut Stage<'_>,
        given: *mut pg_sys::Node,
    ) -> Result<Option<Expr>> {
        let Some(given) = Node::new(given).filter(|_| count(given) != Count::Absent) else {
            return Ok(None);
        };
        let bound = self.bind(stage, query::flatten(stage.level.query, given))?;
        Ok(Some(self.expression(bound)))
    }

    /// The place of a row in the order of the query.
    fn place(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        column: &dyn Fn(i16) -> Option<ColumnId>,
    ) -> WindowCall {
        let bigint = (pg_sys::INT8OID, -1, pg_sys::InvalidOid);
        let place = self.add_column("place", bigint, false, Scale::Unknown);
        let first = node::list_of::<pg_sys::SortGroupClause>(query.sortClause);
        let order = first.first().and_then(|clause| {
            let number = targets_of(&query, clause).first().copied();
            let slot = self.slot(number.and_then(column)?)?;
            comparisons(clause, slot.type_oid)
        });
        WindowCall {
            function: Expr::constant("pg_catalog.row_number()", place.ty.clone(), false),
            column: place,
            arguments: Vec::new(),
            partition: Vec::new(),
            order: self.order(query, column),
            frame: String::new(),
            ties: Ties::Rows,
            reach: order.map(|order| Reach {
                order,
                back: 0,
                ahead: Ahead::All(Carry::Count),
            }),
        }
    }
}

/// That a place is one of those that are kept.
fn within(place: &Column, limit: Option<&Expr>, offset: Option<&Expr>) -> Vec<Predicate> {
    let zero = Expr::constant("0", place.ty.clone(), false);
    let place = Expr::of(place);
    let offset_or_zero = offset.unwrap_or(&zero);
    let after = offset.map(|offset| {
        vec![
            Piece::Expr(&place),
            Piece::Sql(" OPERATOR(pg_catalog.>) COALESCE("),
            Piece::Expr(offset),
            Piece::Sql(", 0)"),
        ]
    });
    let up_to = limit.map(|limit| {
        vec![
            Piece::Sql("COALESCE(("),
            Piece::Expr(&place),
            Piece::Sql(" OPERATOR(pg_catalog.-) COALESCE("),
            Piece::Expr(offset_or_zero),
            Piece::Sql(", 0)) OPERATOR(pg_catalog."),
            Piece::Sql(match canary::active(canary::LAST_BY_VALUE_CUT_OFF) {
                true => "<",
                false => "<=",
            }),
            Piece::Sql(") "),
            Piece::Expr(limit),
            Piece::Sql(", true)"),
        ]
    });
    let condition = |pieces| Predicate {
        expr: Expr::truth(pieces, false),
        equality: None,
    };
    after.into_iter().chain(up_to).map(condition).collect()
}

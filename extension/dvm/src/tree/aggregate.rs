//! Aggregate calls.

use super::column::Column;
use super::expr::Expr;

/// How an aggregate can be maintained. The extension's `parse` room maps the server's functions to
/// these; the delta rules know no function by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateKind {
    /// `count(*)`.
    CountStar,
    /// `count(x)`.
    Count,
    /// `sum(x)` over an integer type; the result is `bigint` or `numeric` without a fraction.
    SumInteger,
    /// `sum(x)` over `numeric`. `scale` is the display scale of every input when the query fixes
    /// it (by a type modifier, or arithmetic over such columns).
    SumNumeric {
        /// Fixed display scale of the argument.
        scale: Option<i32>,
    },
    /// `avg(x)` over an integer type; the result is `numeric`.
    AvgInteger,
    /// `avg(x)` over `numeric`; `scale` as for [`AggregateKind::SumNumeric`].
    AvgNumeric {
        /// Fixed display scale of the argument.
        scale: Option<i32>,
    },
    /// `min(x)` over a sortable type.
    Min,
    /// `max(x)` over a sortable type.
    Max,
    /// `bool_and(x)`, `every(x)`.
    BoolAnd,
    /// `bool_or(x)`.
    BoolOr,
    /// Any other aggregate: the touched groups are recomputed.
    Recompute,
}

/// One aggregate call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Aggregate {
    /// The column that carries the result.
    pub column: Column,
    /// How it can be maintained.
    pub kind: AggregateKind,
    /// The whole call as the server prints it, DISTINCT, ORDER BY and FILTER included, with holes
    /// for the input's columns, and in direct arguments for the keys.
    pub call: Expr,
    /// The argument, for kinds that have exactly one.
    pub argument: Option<Expr>,
    /// The FILTER condition.
    pub filter: Option<Expr>,
    /// Whether the call says DISTINCT. Never set for min, max, bool_and and bool_or, whose result
    /// it does not change.
    pub distinct: bool,
}

impl Aggregate {
    /// Every expression of the call.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        std::iter::once(&self.call)
            .chain(&self.argument)
            .chain(&self.filter)
    }

    /// The same, to be changed.
    pub fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        std::iter::once(&mut self.call)
            .chain(&mut self.argument)
            .chain(&mut self.filter)
    }
}

/// Whether every touched group must be recomputed, whatever changed in it.
pub fn recomputes_always<'a>(
    mut keys: impl Iterator<Item = &'a Column>,
    aggregates: &[Aggregate],
) -> bool {
    keys.any(|key| !key.ty.image_equality)
        || aggregates
            .iter()
            .any(|a| matches!(a.kind, AggregateKind::Recompute))
}

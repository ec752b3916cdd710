//! Access to the parts of one operator: its inputs, the columns that it makes, and its expressions.
//! A walk over a tree recurses into the inputs.

use std::convert::Infallible;

use super::aggregate::Aggregate;
use super::column::{Column, ColumnId};
use super::expr::Expr;
use super::relation::{ApplyKind, Predicate, Relation};
use super::window::SortKey;

/// The inputs of an operator, to be read or changed.
macro_rules! inputs {
    ($relation:expr, $iter:ident) => {
        match $relation {
            Relation::Scan(_) | Relation::Opaque(_) | Relation::SingleRow => Vec::new(),
            Relation::Filter { input, .. }
            | Relation::Bounded { input, .. }
            | Relation::Conditioned { input, .. }
            | Relation::Project { input, .. }
            | Relation::Expand { input, .. }
            | Relation::Aggregate { input, .. }
            | Relation::Distinct { input }
            | Relation::Window { input, .. }
            | Relation::TopN { input, .. } => vec![input],
            Relation::Join { left, right, .. }
            | Relation::LeftJoin { left, right, .. }
            | Relation::FullJoin { left, right, .. } => vec![left, right],
            Relation::Apply {
                input, subquery, ..
            } => vec![input, subquery],
            Relation::UnionAll { inputs, .. } => inputs.$iter().map(|(input, _)| input).collect(),
        }
    };
}

/// The expressions of an operator, to be read or changed; those of its conjuncts as `$conjuncts` has them.
macro_rules! exprs {
    ($relation:expr, $iter:ident, $exprs:ident, $conjuncts:expr) => {
        match $relation {
            Relation::Scan(_)
            | Relation::Opaque(_)
            | Relation::SingleRow
            | Relation::Distinct { .. } => Vec::new(),
            Relation::Filter { predicates, .. }
            | Relation::Join { predicates, .. }
            | Relation::LeftJoin { predicates, .. }
            | Relation::FullJoin { predicates, .. } => $conjuncts(predicates),
            Relation::Bounded { value: expr, .. } | Relation::Expand { item: expr, .. } => {
                vec![expr]
            }
            Relation::Conditioned { condition, .. } => condition.$exprs().collect(),
            Relation::Project { columns, .. } => columns.$iter().map(|(_, expr)| expr).collect(),
            Relation::Apply { kind, .. } => match kind {
                ApplyKind::Any {
                    tests: predicates, ..
                }
                | ApplyKind::Left { predicates } => $conjuncts(predicates),
                ApplyKind::Exists { .. } | ApplyKind::Scalar { .. } | ApplyKind::Cross => {
                    Vec::new()
                }
            },
            Relation::Window { calls, .. } => {
                calls.$iter().flat_map(|call| call.$exprs()).collect()
            }
            Relation::TopN { order, .. } => {
                let keys = order.$iter();
                keys.map(|SortKey { expr, .. }| expr).collect()
            }
            Relation::UnionAll { inputs, .. } => {
                inputs.$iter().flat_map(|(_, exprs)| exprs).collect()
            }
            Relation::Aggregate {
                keys, aggregates, ..
            } => {
                let keys = keys.$iter().map(|(_, expr)| expr);
                let calls = aggregates.$iter().flat_map(Aggregate::$exprs);
                keys.chain(calls).collect()
            }
        }
    };
}

impl Relation {
    /// The inputs.
    pub fn inputs(&self) -> Vec<&Relation> {
        inputs!(self, iter)
    }

    /// The inputs, to be changed.
    pub fn inputs_mut(&mut self) -> Vec<&mut Relation> {
        inputs!(self, iter_mut)
    }

    /// The same operator over inputs changed by `map`.
    pub fn map_inputs(self, map: &mut impl FnMut(Relation) -> Relation) -> Self {
        match self.try_map_inputs(&mut |input| Ok::<_, Infallible>(map(input))) {
            Ok(relation) => relation,
            Err(never) => match never {},
        }
    }

    /// The same operator over inputs changed by `map`.
    ///
    /// # Errors
    /// The first of `map`.
    pub fn try_map_inputs<E>(
        mut self,
        map: &mut impl FnMut(Relation) -> Result<Relation, E>,
    ) -> Result<Self, E> {
        for input in self.inputs_mut() {
            *input = map(std::mem::replace(input, Relation::SingleRow))?;
        }
        Ok(self)
    }

    /// The columns that the operator makes, to be changed.
    pub fn made_mut(&mut self) -> Vec<&mut Column> {
        match self {
            Relation::Scan(scan) => scan.columns.iter_mut().map(|c| &mut c.column).collect(),
            Relation::Opaque(opaque) => opaque.columns.iter_mut().collect(),
            Relation::Bounded { bound, .. } => bound.columns.iter_mut().collect(),
            Relation::Conditioned { condition, .. } => {
                let bound = condition.bound.columns.iter_mut();
                bound.chain([&mut condition.column]).collect()
            }
            Relation::SingleRow
            | Relation::Filter { .. }
            | Relation::Join { .. }
            | Relation::FullJoin { .. }
            | Relation::Distinct { .. }
            | Relation::TopN { .. } => Vec::new(),
            Relation::Project { columns, .. } => columns.iter_mut().map(|(c, _)| c).collect(),
            Relation::Expand { columns, .. } | Relation::UnionAll { columns, .. } => {
                columns.iter_mut().collect()
            }
            Relation::LeftJoin { present, .. } => present.iter_mut().collect(),
            Relation::Apply { kind, .. } => match kind {
                ApplyKind::Exists { present: column }
                | ApplyKind::Any { result: column, .. }
                | ApplyKind::Scalar { value: column } => vec![column],
                ApplyKind::Cross | ApplyKind::Left { .. } => Vec::new(),
            },
            Relation::Window { calls, .. } => calls.iter_mut().map(|c| &mut c.column).collect(),
            Relation::Aggregate {
                keys, aggregates, ..
            } => {
                let keys = keys.iter_mut().map(|(column, _)| column);
                keys.chain(aggregates.iter_mut().map(|a| &mut a.column))
                    .collect()
            }
        }
    }

    /// The columns by which the operator makes partitions, to be changed.
    pub fn partition_mut(&mut self) -> &mut [ColumnId] {
        match self {
            Relation::Window { partition, .. } | Relation::TopN { partition, .. } => partition,
            _ => &mut [],
        }
    }

    /// The expressions of the operator.
    pub fn exprs(&self) -> Vec<&Expr> {
        fn conditions(predicates: &[Predicate]) -> Vec<&Expr> {
            predicates.iter().map(|predicate| &predicate.expr).collect()
        }
        exprs!(self, iter, exprs, conditions)
    }

    /// The expressions of the operator, the sides of equalities among them, to be changed.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        fn all(predicates: &mut [Predicate]) -> Vec<&mut Expr> {
            let predicates = predicates.iter_mut();
            predicates.flat_map(Predicate::exprs_mut).collect()
        }
        exprs!(self, iter_mut, exprs_mut, all)
    }
}

impl Predicate {
    /// The condition, and the sides of the equality that it is.
    pub fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let sides = self.equality.iter_mut().flat_map(|(l, r)| [l, r]);
        std::iter::once(&mut self.expr).chain(sides)
    }
}

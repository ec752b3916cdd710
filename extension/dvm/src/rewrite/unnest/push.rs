//! A subquery computed for every distinct value that it depends on.
//!
//! With D the values, `T(E)` has the rows of `E(d)` beside each d of D:
//! ```text
//! T(E)       = D × E                       where E does not depend
//! T(σ π(E))  = σ π(T(E))
//! T(E ⋈ F)  = T(E) ⋈ F, or T(E) ⋈ T(F) on the same d
//! T(E ⟕ F)  = T(E) ⟕ F, or T(E) ⟕ T(F) on the same d
//! T(E ⟗ F)  = T((E ⟕ F) ⊎ the rows of F without a match)
//! T(E ⊎ F)   = T(E) ⊎ T(F)
//! T(δ E)     = δ T(E)
//! T(windows, first rows of E) = those of T(E), with d as one more key of the partition
//! T(γ_k(E))  = γ_k,d(T(E))
//! T(γ(E))    = D ⟕ γ_d(T(E)), with the aggregates of the empty set where there is no group
//! ```

use std::collections::BTreeSet;

use crate::tree::{Aggregate, Column, ColumnId, Expr, Predicate, Relation};

use super::super::ColumnAllocator;
use super::super::domain::{Domain, StandIns};
use super::super::full_join;
use super::{Linked, empty, kept, projected};

/// The subquery for every value that it depends on, linked to the rows of `input` by those values.
pub(super) fn push(
    input: &Relation,
    subquery: Relation,
    columns: &mut ColumnAllocator,
) -> Result<Linked, crate::Error> {
    let Some(mut push) = Push::new(input, &subquery, columns)? else {
        return Ok(Linked {
            relation: subquery,
            links: Vec::new(),
        });
    };
    let rows = push.over(subquery);
    Ok(Linked {
        links: push.domain.links(&rows.values),
        relation: rows.relation,
    })
}

/// The values for which a subquery is computed.
pub(super) struct Push<'a> {
    domain: Domain,
    read: BTreeSet<ColumnId>,
    columns: &'a mut ColumnAllocator,
}

/// A relation computed for every value.
pub(super) struct Rows {
    pub relation: Relation,
    /// The columns of `relation` with the values.
    pub values: Vec<Column>,
    /// What they make of the outer columns.
    stand_ins: StandIns,
}

impl<'a> Push<'a> {
    /// The values of `input` on which the subquery depends; `None` if it does on none.
    pub fn new(
        input: &Relation,
        subquery: &Relation,
        columns: &'a mut ColumnAllocator,
    ) -> Result<Option<Self>, crate::Error> {
        let outer = input.ids();
        let read: BTreeSet<ColumnId> = subquery.free().intersection(&outer).copied().collect();
        if read.is_empty() {
            return Ok(None);
        }
        Ok(Some(Push {
            domain: Domain::of(input, &read, columns)?,
            read,
            columns,
        }))
    }

    /// What connects a row of `input` to its values in these columns.
    pub fn links(&self, values: &[Column]) -> Vec<Predicate> {
        self.domain.links(values)
    }

    fn rows(&self, relation: Relation, values: Vec<Column>) -> Rows {
        let stand_ins = self.domain.stand_ins(&values);
        Rows {
            relation: stand_ins.in_relation(relation),
            values,
            stand_ins,
        }
    }

    fn is_dependent(&self, relation: &Relation) -> bool {
        !relation.free().is_disjoint(&self.read)
    }

    fn values_alone(&mut self) -> Rows {
        let (relation, values) = self.domain.copy(self.columns);
        self.rows(relation, values)
    }

    /// Each value beside each row of a relation that does not depend on it.
    fn times(&mut self, relation: Relation) -> Rows {
        let alone = self.values_alone();
        self.rows(alone.relation.joined(relation, Vec::new()), alone.values)
    }

    /// The relation for every value.
    pub fn over(&mut self, relation: Relation) -> Rows {
        if relation == Relation::SingleRow {
            return self.values_alone();
        }
        if !self.is_dependent(&relation) {
            return self.times(relation);
        }
        match relation {
            // Never dependent, and unnested before.
            leaf @ (Relation::Scan(_)
            | Relation::Opaque(_)
            | Relation::SingleRow
            | Relation::Apply { .. }) => self.times(leaf),
            unary @ (Relation::Filter { .. }
            | Relation::Bounded { .. }
            | Relation::Conditioned { .. }
            | Relation::Expand { .. }
            | Relation::Window { .. }
            | Relation::TopN { .. }) => self.through(unary),
            Relation::Project { input, columns } => {
                let rows = self.over(*input);
                let mut shown = columns;
                shown.extend(kept(&rows.values));
                self.rows(projected(rows.relation, shown), rows.values)
            }
            Relation::Join {
                left,
                right,
                predicates,
            } => {
                let left = self.over(*left);
                let (right, predicates) = self.beside(&left, *right, predicates);
                self.rows(left.relation.joined(right, predicates), left.values)
            }
            Relation::LeftJoin {
                left,
                right,
                predicates,
                present,
            } => {
                let left = self.over(*left);
                let (right, predicates) = self.beside(&left, *right, predicates);
                let joined = left.relation.left_joined(right, predicates, present);
                self.rows(joined, left.values)
            }
            Relation::FullJoin {
                left,
                right,
                predicates,
            } => {
                let union = full_join::united(*left, *right, predicates, self.columns);
                self.over(union)
            }
            Relation::UnionAll { columns, inputs } => self.union(columns, inputs),
            Relation::Distinct { input } => {
                let mut shown = kept(&input.columns());
                let rows = self.over(*input);
                shown.extend(kept(&rows.values));
                self.rows(projected(rows.relation, shown).distinct(), rows.values)
            }
            Relation::Aggregate {
                input,
                keys,
                aggregates,
            } if keys.is_empty() => self.one_group(*input, aggregates),
            Relation::Aggregate {
                input,
                keys,
                aggregates,
            } => {
                let (grouped, values, _) = self.grouped(*input, keys, aggregates);
                self.rows(grouped, values)
            }
        }
    }

    /// An operator of one input that reads no other columns.
    fn through(&mut self, unary: Relation) -> Rows {
        let mut values = Vec::new();
        let mut relation = unary.map_inputs(&mut |input| {
            let rows = self.over(input);
            values = rows.values;
            rows.relation
        });
        let keys: Vec<ColumnId> = values.iter().map(|c| c.id).collect();
        relation.partition_also_by(&keys);
        self.rows(relation, values)
    }

    /// The single group of each value, which is there without rows, too.
    fn one_group(&mut self, input: Relation, aggregates: Vec<Aggregate>) -> Rows {
        let shown: Vec<Column> = aggregates.iter().map(|a| a.column.clone()).collect();
        let (grouped, values, empty) = self.grouped(input, Vec::new(), aggregates);
        let alone = self.values_alone();
        let links = same_values(&alone.values, &values);
        let present = self.columns.truth("present");
        let joined = (alone.relation).left_joined(grouped, links, Some(present.clone()));
        let mut filled = empty::filled(&shown, &empty, &present);
        filled.extend(kept(&alone.values));
        self.rows(projected(joined, filled), alone.values)
    }

    /// The right side of a join for the values of the left side's rows, and the conjuncts of the join.
    fn beside(
        &mut self,
        left: &Rows,
        right: Relation,
        mut predicates: Vec<Predicate>,
    ) -> (Relation, Vec<Predicate>) {
        if !self.is_dependent(&right) {
            return (right, predicates);
        }
        let right = self.over(right);
        predicates.extend(same_values(&left.values, &right.values));
        (right.relation, predicates)
    }

    fn union(&mut self, mut columns: Vec<Column>, inputs: Vec<(Relation, Vec<Expr>)>) -> Rows {
        let mut values: Vec<Column> = Vec::new();
        let mut arms = Vec::with_capacity(inputs.len());
        for (input, exprs) in inputs {
            let rows = self.over(input);
            if values.is_empty() {
                values = self.fresh(&rows.values);
            }
            let exprs: Vec<Expr> = exprs
                .into_iter()
                .map(|expr| rows.stand_ins.in_expr(&expr))
                .chain(rows.values.iter().map(Expr::of))
                .collect();
            arms.push((rows.relation, exprs));
        }
        columns.extend(values.iter().cloned());
        let union = Relation::UnionAll {
            columns,
            inputs: arms,
        };
        self.rows(union, values)
    }

    /// The grouping by its keys and the values; the latter's columns; and each aggregate of the empty set.
    pub fn grouped(
        &mut self,
        input: Relation,
        mut keys: Vec<(Column, Expr)>,
        aggregates: Vec<Aggregate>,
    ) -> (Relation, Vec<Column>, Vec<Expr>) {
        let rows = self.over(input);
        let values = self.fresh(&rows.values);
        keys.extend(values.iter().cloned().zip(rows.values.iter().map(Expr::of)));
        let grouped = rows.relation.grouped(keys, aggregates);
        let grouped = rows.stand_ins.in_relation(grouped);
        let empty = empty::of_nothing(&grouped);
        (grouped, values, empty)
    }

    fn fresh(&mut self, like: &[Column]) -> Vec<Column> {
        like.iter()
            .map(|c| {
                self.columns
                    .column(c.name.clone(), c.ty.clone(), c.nullable)
            })
            .collect()
    }
}

fn same_values(left: &[Column], right: &[Column]) -> Vec<Predicate> {
    left.iter()
        .zip(right)
        .map(|(l, r)| Predicate::same(&Expr::of(l), &Expr::of(r)))
        .collect()
}

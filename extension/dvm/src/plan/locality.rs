//! Whether the result of a query over distributed tables is the union of its results over their parts.
//!
//! A distributed table has its rows in parts, by the value of one column; rows of any tables with equal values
//! are in co-located parts. A query is local if each of its rows comes from one such group of
//! parts, and from tables that are there whole. With `K`, the columns whose value determines a row's group:
//!
//! ```text
//! scan          K = the column by which the table is distributed
//! A ⋈ B         some equality of the conditions is between K(A) and K(B); K = both, and what else they are equal to
//! A ⟕ B         the same; K = K(A). A is not whole
//! A ⟗ B         the same; K = ∅, since either side may be missing
//! γ, δ, window, limit    some column of K is among the keys, or partitions
//! A ∪ B         position by position
//! a subquery    of one row of K(A): its parts are co-located with that row's, if a condition says so
//! ```
//! A whole table may be joined to anything, except where the absence of rows would show in each group.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{ApplyKind, Column, ColumnId, Expr, Predicate, Relation};

/// How the rows of a table are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Each group has all of them.
    Whole,
    /// By the value of the column with this attribute number.
    By(i16),
}

/// Why a query is not local.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Crossing {
    /// A join finds its pairs in several groups.
    #[error("a join is not on the distribution columns of both sides")]
    Join,
    /// A row of a table that is whole has no match in one group, and one in another.
    #[error("an outer join or a subquery must ask all shards whether a row exists")]
    Absence,
    /// Rows of several groups make one.
    #[error("rows of several shards are grouped together")]
    Grouping,
    /// Rows of several groups are one partition.
    #[error("a window or a limit is over rows of several shards")]
    Partition,
    /// What is whole would be there once for each group.
    #[error("a set operation has an arm without a distributed table")]
    Union,
    /// A subquery is computed whole.
    #[error("a part of the query is computed whole")]
    Opaque,
    /// No distributed table decides where rows are.
    #[error("it reads no distributed table")]
    Whole,
    /// No column of the result says where a row is.
    #[error("no distribution column is in its result")]
    Output,
}

/// In which groups the rows of a relation are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rows {
    /// In each.
    Whole,
    /// In the one that each of these columns names.
    Parts(Keys),
}

type Keys = BTreeSet<ColumnId>;

/// Positions of the output columns by which the result is spread as its sources are.
///
/// # Errors
/// What crosses groups.
pub fn spread_of(
    relation: &Relation,
    tables: &BTreeMap<u32, Spread>,
) -> Result<Vec<usize>, Crossing> {
    let locality = Locality { tables };
    let keys = match locality.rows(relation, &Keys::new(), &[])? {
        Rows::Whole => return Err(Crossing::Whole),
        Rows::Parts(keys) => keys,
    };
    let columns = relation.columns();
    let spread = columns.iter().enumerate();
    let spread: Vec<usize> = spread
        .filter(|(_, column)| keys.contains(&column.id))
        .map(|(position, _)| position)
        .collect();
    match spread.is_empty() {
        true => Err(Crossing::Output),
        false => Ok(spread),
    }
}

/// Whether the result is the union of the results over the groups, whatever it shows.
pub(super) fn is_local(relation: &Relation, tables: &BTreeMap<u32, Spread>) -> bool {
    let locality = Locality { tables };
    matches!(
        locality.rows(relation, &Keys::new(), &[]),
        Ok(Rows::Parts(_))
    )
}

struct Locality<'a> {
    tables: &'a BTreeMap<u32, Spread>,
}

impl Locality<'_> {
    /// Where the rows are. `outer` are the columns of the rows for which a subquery is computed; `filters` holds of
    /// the rows that matter.
    fn rows(
        &self,
        relation: &Relation,
        outer: &Keys,
        filters: &[&Predicate],
    ) -> Result<Rows, Crossing> {
        match relation {
            Relation::Scan(scan) => match self.tables.get(&scan.oid) {
                None => Err(Crossing::Opaque),
                Some(Spread::Whole) => Ok(Rows::Whole),
                Some(Spread::By(attnum)) => {
                    let columns = scan.columns.iter();
                    let keys = columns
                        .filter(|column| column.attnum == *attnum)
                        .map(|column| column.column.id)
                        .collect();
                    Ok(Rows::Parts(equal_to(keys, filters)))
                }
            },
            Relation::SingleRow => Ok(Rows::Whole),
            Relation::Opaque(_) | Relation::Bounded { .. } | Relation::Conditioned { .. } => {
                Err(Crossing::Opaque)
            }
            Relation::Filter { input, predicates } => {
                let filters: Vec<_> = filters.iter().copied().chain(predicates).collect();
                Ok(self.rows(input, outer, &filters)?.and(&filters))
            }
            Relation::Project { input, columns } => {
                let rows = self.rows(input, outer, &[])?;
                Ok(rows.shown(pairs(columns), outer).and(filters))
            }
            Relation::Expand { input, .. } => self.rows(input, outer, filters),
            Relation::Join {
                left,
                right,
                predicates,
            } => self.join(left, right, predicates, outer, filters),
            Relation::LeftJoin {
                left,
                right,
                predicates,
                ..
            } => self.left_join(left, right, predicates, outer, filters),
            Relation::FullJoin {
                left,
                right,
                predicates,
            } => self.full_join(left, right, predicates, outer),
            Relation::Apply {
                input,
                subquery,
                kind,
            } => self.apply(input, subquery, kind, outer, filters),
            Relation::UnionAll { columns, inputs } => {
                Ok(self.union(columns, inputs, outer)?.and(filters))
            }
            Relation::Aggregate { input, keys, .. } => {
                let rows = self.rows(input, outer, &[])?.shown(pairs(keys), outer);
                Ok(rows.or_cross(Crossing::Grouping)?.and(filters))
            }
            Relation::Distinct { input } => {
                let (rows, columns) = (self.rows(input, outer, filters)?, input.columns());
                rows.within(&columns, outer).or_cross(Crossing::Grouping)
            }
            Relation::Window {
                input, partition, ..
            }
            | Relation::TopN {
                input, partition, ..
            } => match self.rows(input, outer, &[])? {
                Rows::Parts(keys) if partition.iter().chain(outer).all(|c| !keys.contains(c)) => {
                    Err(Crossing::Partition)
                }
                rows => Ok(rows.and(filters)),
            },
        }
    }

    fn join(
        &self,
        left: &Relation,
        right: &Relation,
        predicates: &[Predicate],
        outer: &Keys,
        filters: &[&Predicate],
    ) -> Result<Rows, Crossing> {
        let filters: Vec<_> = filters.iter().copied().chain(predicates).collect();
        let left = self.rows(left, outer, &filters)?;
        let right = self.rows(right, outer, &filters)?;
        match (left, right) {
            (Rows::Parts(left), Rows::Parts(right)) => {
                Ok(Rows::Parts(joined(&left, &right, &filters)?))
            }
            (Rows::Whole, rows) | (rows, Rows::Whole) => Ok(rows.and(&filters)),
        }
    }

    fn left_join(
        &self,
        left: &Relation,
        right: &Relation,
        predicates: &[Predicate],
        outer: &Keys,
        filters: &[&Predicate],
    ) -> Result<Rows, Crossing> {
        let on: Vec<_> = predicates.iter().collect();
        let left = self.rows(left, outer, filters)?;
        match (left, self.rows(right, outer, &on)?) {
            (Rows::Whole, Rows::Parts(_)) => Err(Crossing::Absence),
            (Rows::Parts(left), Rows::Parts(right)) => {
                joined(&left, &right, &on)?;
                Ok(Rows::Parts(left))
            }
            (left, Rows::Whole) => Ok(left),
        }
    }

    fn full_join(
        &self,
        left: &Relation,
        right: &Relation,
        predicates: &[Predicate],
        outer: &Keys,
    ) -> Result<Rows, Crossing> {
        let on: Vec<_> = predicates.iter().collect();
        let left = self.rows(left, outer, &[])?;
        match (left, self.rows(right, outer, &[])?) {
            (Rows::Whole, Rows::Whole) => Ok(Rows::Whole),
            (Rows::Parts(left), Rows::Parts(right)) => {
                joined(&left, &right, &on)?;
                Ok(Rows::Parts(left).within(&[], outer))
            }
            _ => Err(Crossing::Absence),
        }
    }

    fn apply(
        &self,
        input: &Relation,
        subquery: &Relation,
        kind: &ApplyKind,
        outer: &Keys,
        filters: &[&Predicate],
    ) -> Result<Rows, Crossing> {
        let rows = self.rows(input, outer, filters)?;
        let mut around: Keys = input.columns().iter().map(|column| column.id).collect();
        around.extend(outer);
        let conditions: Vec<&Predicate> = match kind {
            ApplyKind::Any { tests, .. } => tests.iter().collect(),
            ApplyKind::Left { predicates } => predicates.iter().collect(),
            ApplyKind::Exists { .. } | ApplyKind::Scalar { .. } | ApplyKind::Cross => Vec::new(),
        };
        match (rows, self.rows(subquery, &around, &[])?) {
            (rows, Rows::Whole) => Ok(rows),
            (Rows::Whole, Rows::Parts(keys)) => match kind {
                ApplyKind::Cross => {
                    let added: Keys = subquery.columns().iter().map(|c| c.id).collect();
                    Ok(Rows::Parts(keys.intersection(&added).copied().collect()))
                }
                _ => Err(Crossing::Absence),
            },
            (Rows::Parts(keys), Rows::Parts(inner)) => {
                joined(&keys, &inner, &conditions)?;
                Ok(Rows::Parts(keys))
            }
        }
    }

    fn union(
        &self,
        columns: &[Column],
        inputs: &[(Relation, Vec<Expr>)],
        outer: &Keys,
    ) -> Result<Rows, Crossing> {
        let mut parts: Vec<Keys> = Vec::new();
        for (input, exprs) in inputs {
            let rows = self.rows(input, outer, &[])?;
            match rows.shown(columns.iter().zip(exprs), outer) {
                Rows::Whole => {}
                Rows::Parts(keys) => parts.push(keys),
            }
        }
        let are_mixed = parts.len() < inputs.len();
        let Some(first) = parts.pop() else {
            return Ok(Rows::Whole);
        };
        if are_mixed {
            return Err(Crossing::Union);
        }
        let common = |keys: Keys, more: Keys| keys.intersection(&more).copied().collect();
        Ok(Rows::Parts(parts.into_iter().fold(first, common)))
    }
}

impl Rows {
    /// The rows for which these conditions hold.
    fn and(self, conditions: &[&Predicate]) -> Self {
        match self {
            Rows::Whole => Rows::Whole,
            Rows::Parts(keys) => Rows::Parts(equal_to(keys, conditions)),
        }
    }

    /// The rows under other columns, each with what it shows. An outer row's columns stay.
    fn shown<'a>(
        self,
        columns: impl Iterator<Item = (&'a Column, &'a Expr)>,
        outer: &Keys,
    ) -> Self {
        let Rows::Parts(keys) = self else {
            return Rows::Whole;
        };
        let is_key = |expr: &Expr| expr.as_column().is_some_and(|id| keys.contains(&id));
        let shown = columns.filter(|(_, expr)| is_key(expr));
        let shown = shown.map(|(column, _)| column.id);
        Rows::Parts(shown.chain(keys.intersection(outer).copied()).collect())
    }

    /// The rows with no other columns than these and an outer row's.
    fn within(self, columns: &[Column], outer: &Keys) -> Self {
        let Rows::Parts(mut keys) = self else {
            return Rows::Whole;
        };
        keys.retain(|id| outer.contains(id) || columns.iter().any(|c| c.id == *id));
        Rows::Parts(keys)
    }

    /// The rows, if a column names the group of each.
    fn or_cross(self, crossing: Crossing) -> Result<Self, Crossing> {
        match self {
            Rows::Parts(keys) if keys.is_empty() => Err(crossing),
            rows => Ok(rows),
        }
    }
}

fn pairs(columns: &[(Column, Expr)]) -> impl Iterator<Item = (&Column, &Expr)> {
    columns.iter().map(|(column, expr)| (column, expr))
}

/// The columns that name the group of a pair.
fn joined(left: &Keys, right: &Keys, conditions: &[&Predicate]) -> Result<Keys, Crossing> {
    let left = equal_to(left.clone(), conditions);
    if left.is_disjoint(right) {
        return Err(Crossing::Join);
    }
    Ok(left.union(right).copied().collect())
}

/// These columns, and those that the conditions say are equal to one of them. Values that are equal and look different
/// may be in different groups, if another equality than the distribution's says so.
fn equal_to(mut keys: Keys, conditions: &[&Predicate]) -> Keys {
    let equalities: Vec<(ColumnId, ColumnId)> = conditions
        .iter()
        .filter_map(|condition| condition.equality.as_ref())
        .filter(|(left, right)| left.ty.image_equality && right.ty.image_equality)
        .filter_map(|(left, right)| Some((left.as_column()?, right.as_column()?)))
        .collect();
    loop {
        let before = keys.len();
        for (left, right) in &equalities {
            if keys.contains(left) || keys.contains(right) {
                keys.extend([*left, *right]);
            }
        }
        if keys.len() == before {
            return keys;
        }
    }
}

#[cfg(test)]
mod tests;

//! The set of matches of an outer, semi or anti join: a relation with exactly one row for each left row
//! that has a match, and none for others.
//!
//! It depends on what the conjuncts of the condition read:
//! - The right side itself, where it is one relation and equalities fix a key of it.
//! - `δ π y (σ_right R)` matched by `x = y`, where everything that reads both sides is an equality
//!   `x = y` with a column y of the right side.
//! - Otherwise, by the values D = δ π c (L) of the left columns that the condition reads (the "magic set" of
//!   Neumann and Kemper, Unnesting Arbitrary Queries, 2015): `δ π d (D ⋈ R)` matched by `c IS NOT DISTINCT
//!   FROM d`. Values whose equality is coarser than their image are also distinguished by their text.
//!
//! State: one row per matching value. Cost: O(|Δ|) look-ups.

use std::collections::BTreeSet;

use crate::tree::{Column, ColumnId, ColumnType, Expr, Predicate, Relation};

use super::ColumnAllocator;
use super::domain::Domain;

/// Where it is seen whether a left row has a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matches {
    /// The right side has at most one match for each left row.
    Itself,
    /// A set of matching values.
    Set {
        /// DISTINCT values.
        relation: Relation,
        /// What connects it to the left side.
        on: Vec<Predicate>,
        /// Whether it holds values of the left side only: a value that leaves the left side leaves the
        /// set, too, whether or not it has a match.
        of_left: bool,
    },
}

/// The set of matches of `left` among `right` under the conjuncts.
///
/// # Errors
/// [`crate::Error::CannotUnnest`] when values that decide on a match cannot be distinguished.
pub fn matches(
    left: &Relation,
    right: &Relation,
    predicates: &[Predicate],
    columns: &mut ColumnAllocator,
) -> Result<Matches, crate::Error> {
    if is_one_factor(right) && is_unique(right, &equated(right, predicates)) {
        return Ok(Matches::Itself);
    }
    let (own, outer) = (right.ids(), left.ids());
    // What reads rows further out only is the same for every left row.
    let (of_right, rest): (Vec<&Predicate>, Vec<&Predicate>) = predicates.iter().partition(|p| {
        let reads = p.expr.columns();
        reads.is_subset(&own) || !reads.is_disjoint(&own) && reads.is_disjoint(&outer)
    });
    let (mixed, of_left): (Vec<&Predicate>, Vec<&Predicate>) = rest
        .into_iter()
        .partition(|p| !p.expr.columns().is_disjoint(&own));
    let equated: Option<Vec<ColumnId>> = mixed.iter().map(|p| equated_column(p, &own)).collect();
    let is_domain_of_left = equated.is_none();
    let (relation, mut on) = match equated {
        Some(values) => by_values(right, &of_right, &mixed, &values, columns),
        None => by_domain(left, right, &of_right, &mixed, columns)?,
    };
    on.extend(of_left.into_iter().cloned());
    Ok(Matches::Set {
        relation,
        on,
        of_left: is_domain_of_left,
    })
}

/// The column of `own` that an equality compares with something that reads none of them.
fn equated_column(predicate: &Predicate, own: &BTreeSet<ColumnId>) -> Option<ColumnId> {
    let (left, right) = predicate.equality.as_ref()?;
    [(left, right), (right, left)]
        .into_iter()
        .find_map(|(inner, outer)| {
            let id = inner.as_column()?;
            (own.contains(&id) && outer.columns().is_disjoint(own)).then_some(id)
        })
}

/// The columns of `right` that equalities fix.
pub(super) fn equated(right: &Relation, predicates: &[Predicate]) -> BTreeSet<ColumnId> {
    let own = right.ids();
    predicates
        .iter()
        .filter_map(|p| equated_column(p, &own))
        .collect()
}

/// Whether the relation is one table, or the output of one node, filtered and projected.
fn is_one_factor(relation: &Relation) -> bool {
    match relation {
        Relation::Scan(_)
        | Relation::Opaque(_)
        | Relation::Aggregate { .. }
        | Relation::Distinct { .. } => true,
        Relation::Filter { input, .. } | Relation::Project { input, .. } => is_one_factor(input),
        _ => false,
    }
}

/// Whether no two rows of the relation agree in these columns.
pub(super) fn is_unique(relation: &Relation, fixed: &BTreeSet<ColumnId>) -> bool {
    match relation {
        Relation::Scan(scan) => scan.indexes.iter().any(|index| {
            index.identifies_row
                && index.attnums.iter().all(|attnum| {
                    scan.columns
                        .iter()
                        .any(|c| Some(c.attnum) == *attnum && fixed.contains(&c.column.id))
                })
        }),
        Relation::Filter { input, .. }
        | Relation::Conditioned { input, .. }
        | Relation::Window { input, .. } => is_unique(input, fixed),
        Relation::TopN {
            input,
            partition,
            limit,
            with_ties,
            ..
        } => {
            let one_each = limit.is_some_and(|limit| limit <= 1) && !with_ties;
            (one_each && partition.iter().all(|id| fixed.contains(id))) || is_unique(input, fixed)
        }
        Relation::Project { input, columns } => {
            let below = columns
                .iter()
                .filter(|(column, _)| fixed.contains(&column.id))
                .filter_map(|(_, expr)| expr.as_column())
                .collect();
            is_unique(input, &below)
        }
        Relation::Aggregate { keys, .. } => keys.iter().all(|(key, _)| fixed.contains(&key.id)),
        Relation::Distinct { input } => input.columns().iter().all(|c| fixed.contains(&c.id)),
        Relation::LeftJoin {
            left,
            right,
            predicates,
            ..
        } => is_unique(left, fixed) && is_unique(right, &equated(right, predicates)),
        Relation::Expand {
            input,
            columns,
            key: Some(key),
            ..
        } => {
            is_unique(input, fixed)
                && key
                    .iter()
                    .all(|at| columns.get(*at).is_some_and(|c| fixed.contains(&c.id)))
        }
        Relation::SingleRow => true,
        Relation::Opaque(_)
        | Relation::Bounded { .. }
        | Relation::Join { .. }
        | Relation::FullJoin { .. }
        | Relation::Expand { .. }
        | Relation::Apply { .. }
        | Relation::UnionAll { .. } => false,
    }
}

/// By the equated columns of the right side; without any, by whether there are rows at all.
fn by_values(
    right: &Relation,
    of_right: &[&Predicate],
    mixed: &[&Predicate],
    values: &[ColumnId],
    columns: &mut ColumnAllocator,
) -> (Relation, Vec<Predicate>) {
    let (right, names) = columns.relabel(right.clone());
    let of_right: Vec<Predicate> = of_right
        .iter()
        .map(|p| (*p).clone().relabelled(&names))
        .collect();
    let input = right.clone().filtered(of_right);
    let mut kept: Vec<ColumnId> = values.to_vec();
    kept.sort_unstable();
    kept.dedup();
    let mut projected = Vec::new();
    let mut stands_for = Vec::new();
    for id in kept {
        let inner = names.get(&id).copied().unwrap_or(id);
        if let Some(column) = right.columns().into_iter().find(|c| c.id == inner) {
            let value = columns.column(column.name.clone(), column.ty.clone(), column.nullable);
            stands_for.push((id, Expr::of(&value)));
            projected.push((value, Expr::of(&column)));
        }
    }
    if projected.is_empty() {
        let one = columns.column("one", ColumnType::integer(), false);
        projected.push((one, Expr::constant("1", ColumnType::integer(), false)));
    }
    let on = mixed
        .iter()
        .map(|p| {
            p.map(|expr| {
                expr.substitute(|id| stands_for.iter().find(|(o, _)| *o == id).map(|(_, e)| e))
            })
        })
        .collect();
    (input.projected(projected).distinct(), on)
}

/// By the values of the left columns that the condition reads.
fn by_domain(
    left: &Relation,
    right: &Relation,
    of_right: &[&Predicate],
    mixed: &[&Predicate],
    columns: &mut ColumnAllocator,
) -> Result<(Relation, Vec<Predicate>), crate::Error> {
    let own = right.ids();
    let read: BTreeSet<ColumnId> = mixed
        .iter()
        .flat_map(|p| p.expr.columns())
        .filter(|id| !own.contains(id))
        .collect();
    let domain = Domain::of(left, &read, columns)?;
    let (right, names) = columns.relabel(right.clone());
    let renamed: Vec<Predicate> = of_right
        .iter()
        .map(|p| (*p).clone().relabelled(&names))
        .collect();
    let right = right.filtered(renamed);
    let on = mixed
        .iter()
        .map(|p| domain.bound(&(*p).clone().relabelled(&names)))
        .collect();
    let joined = domain.relation.clone().joined(right, on);
    let values = domain.relation.columns();
    let copies: Vec<Column> = values
        .iter()
        .map(|c| columns.column(c.name.clone(), c.ty.clone(), c.nullable))
        .collect();
    let projected = copies
        .iter()
        .cloned()
        .zip(values.iter().map(Expr::of))
        .collect();
    let links = domain.links(&copies);
    Ok((joined.projected(projected).distinct(), links))
}

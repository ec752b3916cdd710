//! Conjuncts that read outer columns, taken out of a subquery.
//!
//! ```text
//! σ_p(l)(E)          → p, E                         any conjunct
//! π(E)               → what p reads of E is shown, too
//! E ⋈ F, E ⟕ F      → from both sides, from the left side
//! γ_k(σ_x(l)=y(E))   → x(l) = y, γ_k,y(E)           equalities only: the groups of an outer row stay whole
//! δ(σ_x(l)=y(E))     → x(l) = y, δ(E, y)
//! windows, first rows → x(l) = y, with y as one more key of the partition
//! ```
//! All other cases go to [`super::push`].

use std::collections::BTreeSet;

use crate::tree::{Column, ColumnId, Expr, Predicate, Relation};

use super::super::ColumnAllocator;
use super::{Linked, Outputs, kept};

/// The subquery without dependence, and the conjuncts that it had.
pub(super) fn pull(relation: Relation, columns: &mut ColumnAllocator) -> Option<Linked> {
    if relation.free().is_empty() {
        return Some(Linked {
            relation,
            links: Vec::new(),
        });
    }
    let reads = relation.reads();
    match relation {
        Relation::Filter { input, predicates } => {
            let mut linked = pull(*input, columns)?;
            let (inner, outer) = split(predicates, &linked.relation.ids());
            linked.links.extend(outer);
            linked.relation = linked.relation.filtered(inner);
            Some(linked)
        }
        Relation::Project {
            input,
            columns: shown,
        } => {
            let linked = pull(*input, columns)?;
            (reads.is_subset(&linked.relation.ids())).then(|| showing(linked, shown))
        }
        unary @ (Relation::Bounded { .. }
        | Relation::Conditioned { .. }
        | Relation::Expand { .. }
        | Relation::Window { .. }
        | Relation::TopN { .. }) => through(unary, &reads, columns),
        Relation::Join {
            left,
            right,
            predicates,
        } => {
            let (left, right) = (pull(*left, columns)?, pull(*right, columns)?);
            let mut own = left.relation.ids();
            own.extend(right.relation.ids());
            let (inner, outer) = split(predicates, &own);
            Some(Linked {
                relation: left.relation.joined(right.relation, inner),
                links: [left.links, right.links, outer].concat(),
            })
        }
        Relation::LeftJoin {
            left,
            right,
            predicates,
            present,
        } => {
            if !right.free().is_empty() {
                return None;
            }
            let left = pull(*left, columns)?;
            let mut own = left.relation.ids();
            own.extend(right.ids());
            reads.is_subset(&own).then(|| Linked {
                relation: (left.relation).left_joined(*right, predicates, present),
                links: left.links,
            })
        }
        Relation::Distinct { input } => {
            let shown = kept(&input.columns());
            let linked = pull(*input, columns)?;
            let (keys, links) = grouped_by(shown, linked.links, &linked.relation, columns)?;
            Some(Linked {
                relation: super::projected(linked.relation, keys).distinct(),
                links,
            })
        }
        Relation::Aggregate {
            input,
            keys,
            aggregates,
        } if !keys.is_empty() => {
            let linked = pull(*input, columns)?;
            if !reads.is_subset(&linked.relation.ids()) {
                return None;
            }
            let (keys, links) = grouped_by(keys, linked.links, &linked.relation, columns)?;
            Some(Linked {
                relation: linked.relation.grouped(keys, aggregates),
                links,
            })
        }
        _ => None,
    }
}

/// Conjuncts over these columns, and the others.
fn split(predicates: Vec<Predicate>, own: &BTreeSet<ColumnId>) -> (Vec<Predicate>, Vec<Predicate>) {
    (predicates.into_iter()).partition(|p| p.expr.columns().is_subset(own))
}

/// A projection that shows what the links read, too.
fn showing(linked: Linked, mut shown: Outputs) -> Linked {
    let read: BTreeSet<ColumnId> = (linked.links.iter())
        .flat_map(|p| p.expr.columns())
        .collect();
    for column in linked.relation.columns() {
        let is_shown = shown.iter().any(|(c, _)| c.id == column.id);
        if read.contains(&column.id) && !is_shown {
            let expr = Expr::of(&column);
            shown.push((column, expr));
        }
    }
    Linked {
        relation: super::projected(linked.relation, shown),
        links: linked.links,
    }
}

/// An operator of one input that reads these columns of it. Windows and first rows are those of an outer row
/// where the partition has what the links compare, too.
fn through(
    unary: Relation,
    reads: &BTreeSet<ColumnId>,
    columns: &mut ColumnAllocator,
) -> Option<Linked> {
    let partitions = matches!(unary, Relation::Window { .. } | Relation::TopN { .. });
    let (mut links, mut keys) = (Vec::new(), Vec::new());
    let mut relation = unary
        .try_map_inputs(&mut |input| {
            let linked = pull(input, columns).filter(|l| reads.is_subset(&l.relation.ids()));
            let (linked, by) = match partitions {
                true => with_keys(linked.ok_or(())?, columns).ok_or(())?,
                false => (linked.ok_or(())?, Vec::new()),
            };
            (links, keys) = (linked.links, by);
            Ok::<_, ()>(linked.relation)
        })
        .ok()?;
    relation.partition_also_by(&keys);
    Some(Linked { relation, links })
}

/// The relation with a column for each side of a link that is its own, and those columns. `None` if a link is
/// not an equality.
fn with_keys(linked: Linked, columns: &mut ColumnAllocator) -> Option<(Linked, Vec<ColumnId>)> {
    let own = linked.relation.ids();
    let mut shown = kept(&linked.relation.columns());
    let mut keys = Vec::with_capacity(linked.links.len());
    let mut links = Vec::with_capacity(linked.links.len());
    for link in linked.links {
        let (inner, outer) = sides(&link, &own)?;
        match inner.as_column() {
            Some(id) => {
                keys.push(id);
                links.push(link);
            }
            None if inner.ty == outer.ty => {
                let key = columns.column("key", inner.ty.clone(), inner.nullable);
                keys.push(key.id);
                links.push(Predicate::equality(outer, &Expr::of(&key)));
                shown.push((key, inner.clone()));
            }
            None => return None,
        }
    }
    let relation = super::projected(linked.relation, shown);
    Some((Linked { relation, links }, keys))
}

/// Grouping keys with what the links compare, and the links over them. `None` if one is not an equality.
pub(super) fn grouped_by(
    mut keys: Outputs,
    links: Vec<Predicate>,
    input: &Relation,
    columns: &mut ColumnAllocator,
) -> Option<(Outputs, Vec<Predicate>)> {
    let own = input.ids();
    let mut over_keys = Vec::with_capacity(links.len());
    for link in links {
        let read: BTreeSet<ColumnId> = link.expr.columns().intersection(&own).copied().collect();
        let by_keys: Vec<(ColumnId, Expr)> = read
            .iter()
            .filter_map(|id| Some((*id, Expr::of(key_of(&keys, *id)?))))
            .collect();
        if by_keys.len() == read.len() {
            over_keys.push(link.map(|expr| {
                expr.substitute(|id| by_keys.iter().find(|(i, _)| *i == id).map(|(_, e)| e))
            }));
            continue;
        }
        let (inner, outer) = sides(&link, &own)?;
        let key = columns.column("key", inner.ty.clone(), inner.nullable);
        let by_key = Expr::of(&key);
        over_keys.push(match inner.as_column() {
            Some(column) => {
                link.map(|expr| expr.substitute(|id| (id == column).then_some(&by_key)))
            }
            None if inner.ty == outer.ty => Predicate::equality(outer, &by_key),
            None => return None,
        });
        keys.push((key, inner.clone()));
    }
    Some((keys, over_keys))
}

/// The key that shows a column of the input.
fn key_of(keys: &[(Column, Expr)], id: ColumnId) -> Option<&Column> {
    keys.iter()
        .find(|(_, expr)| expr.as_column() == Some(id))
        .map(|(key, _)| key)
}

/// The sides of an equality, that which reads only these columns first.
pub(super) fn sides<'p>(
    link: &'p Predicate,
    own: &BTreeSet<ColumnId>,
) -> Option<(&'p Expr, &'p Expr)> {
    let (left, right) = link.equality.as_ref()?;
    [(left, right), (right, left)]
        .into_iter()
        .find(|(inner, outer)| {
            let reads = inner.columns();
            !reads.is_empty() && reads.is_subset(own) && outer.columns().is_disjoint(own)
        })
}

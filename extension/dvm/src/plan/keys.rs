//! Which output columns identify a row.
//!
//! A join's rows are identified by one key of each relation; a relation whose key is fixed by
//! equalities with the others (or with constants) adds nothing. This is the classic rule of
//! functional dependencies on keys, applied greedily.

use std::collections::BTreeSet;

use crate::operators::aggregate::Maintenance;
use crate::tree::{Column, ColumnId, Expr, Predicate};

use super::block::{BlockScan, Branch};
use super::{Identity, Node};

/// Identity of rows of a node's projected output.
pub(super) fn of_post(node: &Node, exprs: &[Expr]) -> Identity {
    let positions: Option<Vec<usize>> = node
        .keys
        .iter()
        .map(|key| exprs.iter().position(|e| e.as_column() == Some(key.id)))
        .collect();
    match positions {
        Some(columns) => Identity::Key {
            unique_index: node.keys.iter().all(|k| k.ty.bounded && k.ty.sortable)
                || !node.keys.iter().all(|k| k.ty.image_equality),
            columns,
        },
        None => Identity::Image,
    }
}

/// Identity of rows of a select-project-join.
pub(super) fn of_branch(branch: &Branch, nodes: &[Node]) -> Identity {
    let mut kept: Vec<bool> = vec![true; branch.scans.len()];
    for (position, scan) in branch.scans.iter().enumerate() {
        let others: BTreeSet<ColumnId> = branch
            .scans
            .iter()
            .zip(&kept)
            .enumerate()
            .filter(|(other, (_, kept))| *other != position && **kept)
            .flat_map(|(_, (scan, _))| scan.column_ids())
            .collect();
        let fixed = |id: &ColumnId| is_fixed_by(&branch.predicates, *id, &others);
        if unique_sets(scan, nodes)
            .iter()
            .any(|set| set.iter().all(fixed))
            && let Some(kept) = kept.get_mut(position)
        {
            *kept = false;
        }
    }
    let mut columns = Vec::new();
    for (scan, _) in branch.scans.iter().zip(&kept).filter(|(_, kept)| **kept) {
        let visible = unique_sets(scan, nodes).into_iter().find_map(|set| {
            set.into_iter()
                .map(|id| position_of(branch, id))
                .collect::<Option<Vec<usize>>>()
        });
        match visible {
            Some(positions) => columns.extend(positions),
            None => return Identity::Image,
        }
    }
    columns.sort_unstable();
    columns.dedup();
    if branch.scans.is_empty() {
        return Identity::Image;
    }
    let key = || columns.iter().filter_map(|p| branch.outputs.get(*p));
    if !key().all(|e| e.ty.sortable) {
        return Identity::Image;
    }
    // One source's key fits in an index, since it does so at the source; several together may not.
    let fits = kept.iter().filter(|kept| **kept).count() <= 1 || key().all(|e| e.ty.bounded);
    Identity::Key {
        unique_index: fits || !key().all(|e| e.ty.image_equality),
        columns,
    }
}

/// Sets of columns that identify a row of a scan.
fn unique_sets(scan: &BlockScan, nodes: &[Node]) -> Vec<Vec<ColumnId>> {
    match scan {
        BlockScan::Table(table) => table
            .indexes
            .iter()
            .filter(|index| index.identifies_row)
            .filter_map(|index| {
                index
                    .attnums
                    .iter()
                    .map(|attnum| {
                        let attnum = (*attnum)?;
                        table
                            .columns
                            .iter()
                            .find(|c| c.attnum == attnum)
                            .map(|c| c.column.id)
                    })
                    .collect()
            })
            .collect(),
        BlockScan::Node { node, columns } => nodes
            .get(*node)
            .filter(|node| {
                node.keys
                    .iter()
                    .all(|k| k.ty.bounded && k.ty.sortable && k.ty.image_equality)
            })
            .map(|node| columns.iter().take(node.keys.len()).map(|c| c.id).collect())
            .into_iter()
            .collect(),
    }
}

/// Whether an equality fixes `id`, given the columns of the relations that are kept.
fn is_fixed_by(predicates: &[Predicate], id: ColumnId, given: &BTreeSet<ColumnId>) -> bool {
    equalities_of(predicates, id).any(|other| other.columns().is_subset(given))
}

fn equalities_of(predicates: &[Predicate], id: ColumnId) -> impl Iterator<Item = &Expr> {
    predicates
        .iter()
        .filter_map(|p| p.equality.as_ref())
        .filter_map(move |(left, right)| {
            if left.as_column() == Some(id) {
                Some(right)
            } else if right.as_column() == Some(id) {
                Some(left)
            } else {
                None
            }
        })
}

/// The output position that shows `id`, or a column of the same type that is equal to it.
fn position_of(branch: &Branch, id: ColumnId) -> Option<usize> {
    let shows = |id: ColumnId| {
        branch
            .outputs
            .iter()
            .position(|e| e.as_column() == Some(id))
    };
    shows(id).or_else(|| {
        equalities_of(&branch.predicates, id)
            .filter(|other| other.ty.image_equality)
            .filter_map(Expr::as_column)
            .find_map(shows)
    })
}

/// Positions of a node's columns that equalities of the branch compare with other relations.
pub(super) fn equated_columns(branch: &Branch, columns: &[Column]) -> Vec<usize> {
    let own: BTreeSet<ColumnId> = columns.iter().map(|c| c.id).collect();
    columns
        .iter()
        .enumerate()
        .filter(|(_, c)| {
            equalities_of(&branch.predicates, c.id).any(|other| {
                let reads = other.columns();
                !reads.is_empty() && reads.is_disjoint(&own)
            })
        })
        .map(|(position, _)| position)
        .collect()
}

/// Where the state columns of a node stand in the output, if they all do.
pub(super) fn state_in_output(
    node: &Node,
    predicates: &[Predicate],
    exprs: &[Expr],
) -> Option<Vec<usize>> {
    if !predicates.is_empty() || matches!(node.maintenance, Maintenance::Recompute) {
        return None;
    }
    node.maintenance
        .state_as_columns(node)?
        .into_iter()
        .map(|id| exprs.iter().position(|e| e.as_column() == Some(id)))
        .collect()
}

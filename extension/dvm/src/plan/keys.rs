//! Which output columns identify a row.
//!
//! A join's rows are identified by one key of each relation; a relation whose key is fixed by
//! equalities with the others (or with constants) adds nothing. This is the classic rule of
//! functional dependencies on keys, applied greedily.

use std::collections::BTreeSet;

use crate::tree::{Column, ColumnId, ColumnType, Expr, Predicate};

use super::block::{BlockScan, Branch, Matched};
use super::{Identity, Node};

/// How many columns a btree index can have.
const INDEX_COLUMNS_MAX: usize = 32;

/// Whether a btree index over columns of these types can hold every row.
pub fn fits_index<'a>(types: impl IntoIterator<Item = &'a ColumnType>) -> bool {
    (types.into_iter().enumerate())
        .all(|(at, ty)| at < INDEX_COLUMNS_MAX && ty.bounded && ty.sortable)
}

/// Identity of rows of a node's projected output.
pub(super) fn of_post(node: &Node, exprs: &[Expr]) -> Identity {
    let columns = node.columns();
    let Some(key) = &node.row_key else {
        return Identity::Image;
    };
    let key: Vec<&Column> = key.iter().filter_map(|at| columns.get(*at)).collect();
    match positions_of(&key, exprs) {
        Some(columns) => Identity::Key {
            unique_index: fits_index(key.iter().map(|k| &k.ty)),
            columns,
        },
        None => Identity::Image,
    }
}

/// Where the columns stand among the expressions, if they all do.
pub(super) fn positions_of(columns: &[&Column], exprs: &[Expr]) -> Option<Vec<usize>> {
    columns
        .iter()
        .map(|column| exprs.iter().position(|e| e.as_column() == Some(column.id)))
        .collect()
}

/// Identity of rows of a select-project-join.
pub(super) fn of_branch(branch: &Branch, nodes: &[Node]) -> Identity {
    let mut kept: Vec<bool> = vec![true; branch.scans.len()];
    for (position, factor) in branch.scans.iter().enumerate() {
        // A row has at most one match, or one row of NULLs.
        if let Some(outer) = &factor.outer
            && matches!(outer.matched, Matched::Itself)
        {
            if let Some(kept) = kept.get_mut(position) {
                *kept = false;
            }
            continue;
        }
        let others: BTreeSet<ColumnId> = branch
            .scans
            .iter()
            .zip(&kept)
            .enumerate()
            .filter(|(other, (_, kept))| {
                *other != position && **kept && !is_computed_from(branch, *other, position)
            })
            .flat_map(|(_, (factor, _))| factor.column_ids())
            .collect();
        let fixed = |id: &ColumnId| is_fixed_by(&branch.predicates, *id, &others);
        if factor.outer.is_none()
            && unique_sets(&factor.scan, nodes)
                .iter()
                .any(|set| set.iter().all(fixed))
            && let Some(kept) = kept.get_mut(position)
        {
            *kept = false;
        }
    }
    let mut columns = Vec::new();
    for (factor, _) in branch.scans.iter().zip(&kept).filter(|(_, kept)| **kept) {
        let visible = unique_sets(&factor.scan, nodes)
            .into_iter()
            .find_map(|set| {
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
    let fits = kept.iter().filter(|kept| **kept).count() <= 1;
    Identity::Key {
        unique_index: fits || fits_index(key().map(|e| &e.ty)),
        columns,
    }
}

/// Whether the rows of one scan are computed from those of another: then they fix nothing of it.
fn is_computed_from(branch: &Branch, scan: usize, other: usize) -> bool {
    let reads = branch.scans.get(scan).map(|factor| factor.scan.reads());
    let earlier = branch.scans.iter().enumerate().take(scan);
    reads.is_some_and(|reads| {
        earlier
            .filter(|(_, earlier)| earlier.column_ids().iter().any(|id| reads.contains(id)))
            .any(|(position, _)| position == other || is_computed_from(branch, position, other))
    })
}

/// Sets of columns that identify a row of a scan, given the rows that it is computed from.
pub(super) fn unique_sets(scan: &BlockScan, nodes: &[Node]) -> Vec<Vec<ColumnId>> {
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
            .and_then(|node| node.row_key.as_ref())
            .and_then(|key| {
                key.iter()
                    .map(|at| columns.get(*at))
                    .map(|column| {
                        column.filter(|c| c.ty.bounded && c.ty.sortable && c.ty.image_equality)
                    })
                    .map(|column| column.map(|c| c.id))
                    .collect()
            })
            .into_iter()
            .collect(),
        BlockScan::Image { .. } => Vec::new(),
        BlockScan::Bound { .. } | BlockScan::Condition { .. } => vec![Vec::new()],
        BlockScan::Expand { columns, key, .. } => key
            .iter()
            .map(|key| {
                key.iter()
                    .filter_map(|at| columns.get(*at))
                    .map(|c| c.id)
                    .collect()
            })
            .collect(),
    }
}

/// Whether an equality fixes `id`, given the columns of the relations that are kept.
fn is_fixed_by(predicates: &[Predicate], id: ColumnId, given: &BTreeSet<ColumnId>) -> bool {
    equalities_of(predicates, id).any(|other| other.columns().is_subset(given))
}

pub(super) fn equalities_of<'a>(
    predicates: impl IntoIterator<Item = &'a Predicate>,
    id: ColumnId,
) -> impl Iterator<Item = &'a Expr> {
    predicates
        .into_iter()
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

#[cfg(test)]
mod tests;

//! Whether rows that tie in an order are alike in everything visible. See [`super::agreement`].

use std::collections::BTreeSet;

use super::maintenance::Partition;
use crate::tree::{Column, ColumnId, Expr, SortKey, Ties, WindowCall};

use super::Node;
use super::agreement::Agreement;
use super::block::Block;

/// Takes from orders the keys at their end that tell no rows apart which are not told apart before: a query whose
/// ties are settled sorts by everything that it reads.
pub(super) fn trim(block: &Block, nodes: &[Node], partition_keys: &[Column], rule: &mut Partition) {
    let reads: BTreeSet<ColumnId> = block.columns.iter().map(|c| c.id).collect();
    let settled = |exprs: &[Expr], order: &[SortKey]| {
        let given = Given::of(partition_keys, exprs, order);
        reads.is_subset(&alike(block, nodes, &given))
    };
    let shorten = |exprs: &[Expr], order: &mut Vec<SortKey>| {
        let is_removable = |key: &SortKey| key.is_default_order || key.is_by_image();
        let kept = order.iter().rposition(|key| !is_removable(key));
        // With more keys rows agree in more, so that the shortest order is found by halving: an order by everything
        // that the query reads may have as many keys as a table has columns.
        let (mut short, mut long) = (kept.map_or(1, |at| at + 1), order.len());
        while short < long {
            let middle = usize::midpoint(short, long);
            match order.get(..middle) {
                Some(rest) if settled(exprs, rest) => long = middle,
                _ => short = middle + 1,
            }
        }
        order.truncate(long);
    };
    match rule {
        Partition::Window { calls, .. } => {
            for call in calls.iter_mut().filter(|c| c.ties != Ties::Harmless) {
                shorten(&call.partition, &mut call.order);
            }
        }
        Partition::TopN {
            order,
            with_ties: false,
            ..
        } => shorten(&[], order),
        Partition::TopN { .. } => {}
    }
}

/// What rows are given to agree in.
struct Given {
    /// By the default equality of the types.
    equal: BTreeSet<ColumnId>,
    /// By image.
    alike: BTreeSet<ColumnId>,
}

impl Given {
    /// Rows of one partition that are equal in these expressions and in the order.
    fn of(partition_keys: &[Column], exprs: &[Expr], order: &[SortKey]) -> Self {
        let sorted = order.iter().filter(|key| key.is_default_order);
        let images = order.iter().filter(|key| key.is_by_image());
        Given {
            equal: (exprs.iter())
                .chain(sorted.map(|key| &key.expr))
                .filter_map(Expr::as_column)
                .chain(partition_keys.iter().map(|c| c.id))
                .collect(),
            alike: images.flat_map(|key| key.expr.columns()).collect(),
        }
    }
}

/// Refuses a rule whose result depends on the order of rows that tie in its ORDER BY. `is_set`: no
/// two rows of the block are alike in everything.
pub(super) fn check(
    block: &Block,
    nodes: &[Node],
    partition_keys: &[Column],
    is_set: bool,
    rule: &Partition,
) -> Result<(), crate::Error> {
    let given = |exprs: &[Expr], order: &[SortKey]| Given::of(partition_keys, exprs, order);
    match rule {
        Partition::Window { calls, .. } => {
            // Rows that are alike in everything trade places freely in one order, but not in two.
            let by_place = |call: &&WindowCall| call.ties == Ties::Rows;
            let mut orders = calls
                .iter()
                .filter(by_place)
                .map(|c| (&c.partition, &c.order));
            if let Some(first) = orders.next()
                && orders.any(|other| other != first)
                && !is_set
            {
                return Err(crate::Error::AmbiguousOrder {
                    construct: "window functions with different orders over duplicate rows".into(),
                });
            }
            for call in calls {
                let reads: BTreeSet<ColumnId> = match call.ties {
                    Ties::Harmless => continue,
                    Ties::Arguments => call.arguments.iter().flat_map(Expr::columns).collect(),
                    Ties::Rows => block.columns.iter().map(|c| c.id).collect(),
                };
                let given = given(&call.partition, &call.order);
                if !reads.is_subset(&alike(block, nodes, &given)) {
                    return Err(crate::Error::AmbiguousOrder {
                        construct: format!("window function {}", call.column.name),
                    });
                }
            }
        }
        Partition::TopN {
            order,
            offset,
            limit,
            with_ties,
        } => {
            let cuts_between_peers =
                *limit != Some(0) && (*offset > 0 || (limit.is_some() && !with_ties));
            let reads: BTreeSet<ColumnId> = block.columns.iter().map(|c| c.id).collect();
            if cuts_between_peers && !reads.is_subset(&alike(block, nodes, &given(&[], order))) {
                return Err(crate::Error::AmbiguousOrder {
                    construct: if partition_keys.is_empty() {
                        "LIMIT or OFFSET".into()
                    } else {
                        "DISTINCT ON or a LIMIT per row".into()
                    },
                });
            }
        }
    }
    Ok(())
}

/// The columns of a block in which rows are alike that agree in the columns `given`.
fn alike(block: &Block, nodes: &[Node], given: &Given) -> BTreeSet<ColumnId> {
    let is_in = |set: &BTreeSet<ColumnId>, position: usize| {
        let column = block.columns.get(position);
        column.is_some_and(|c| set.contains(&c.id))
    };
    let determined = match block.branches.as_slice() {
        [branch] => Agreement::of(
            branch,
            nodes,
            |position| is_in(&given.equal, position),
            |position| is_in(&given.alike, position),
        )
        .outputs(branch),
        // Rows of different branches have nothing in common but what is given.
        _ => BTreeSet::new(),
    };
    block
        .columns
        .iter()
        .enumerate()
        .filter(|(position, c)| {
            determined.contains(position)
                || given.alike.contains(&c.id)
                || (given.equal.contains(&c.id) && c.ty.image_equality)
        })
        .map(|(_, c)| c.id)
        .collect()
}

#[cfg(test)]
mod tests;

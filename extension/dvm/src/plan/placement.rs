//! Where each node keeps its state: in the output, in its own table, or nowhere.

use std::collections::BTreeSet;

use super::maintenance::{Maintenance, Partition};
use crate::tree::{Column, ColumnId, Expr, Predicate};

use super::block::{Block, BlockScan, Source};
use super::{Identity, Image, Node, Output, Store, blocks_of, keys};

/// Decides where each node keeps its state. Over images it is always a table, from which the first fill
/// is read, because the query itself would compute their subqueries again.
pub(super) fn place_state(nodes: &mut [Node], output: &Output, has_images: bool) {
    for (source, position) in looked_up(blocks_of(nodes, output)) {
        let Source::Node(node) = source else {
            continue;
        };
        let Some(node) = nodes.get_mut(node) else {
            continue;
        };
        // Of a group's columns only the keys are stored as they are.
        let columns = match node.partition() {
            Some(_) => node.columns(),
            None => node.keys.clone(),
        };
        let bounded = (columns.get(position)).is_some_and(|c| c.ty.bounded && c.ty.sortable);
        let positions = vec![position];
        if let Store::Table { indexes } = &mut node.store
            && bounded
            && !indexes.contains(&positions)
        {
            indexes.push(positions);
        }
    }
    for node in nodes.iter_mut() {
        if let Some(order) = node.partition().and_then(Partition::order).cloned()
            && let Store::Table { indexes } = &mut node.store
        {
            let position = vec![order.column];
            if !indexes.contains(&position) {
                indexes.push(position);
            }
        }
    }
    if let Output::Post { exprs, .. } = output
        && let Some(last) = nodes.last_mut()
        && last.partition().is_some()
    {
        let keys: Vec<&Column> = last.keys.iter().collect();
        if let Some(positions) = keys::positions_of(&keys, exprs) {
            last.store = Store::Output(positions);
        }
    } else if let Output::Post {
        predicates,
        exprs,
        identity: Identity::Key { .. },
    } = output
        && !has_images
        && let Some(last) = nodes.last_mut()
    {
        if let Some(positions) = state_in_output(last, predicates, exprs) {
            last.store = Store::Output(positions);
        } else if matches!(last.maintenance, Maintenance::Recompute) {
            last.store = Store::None;
        }
    }
}

/// Whether a node's partitions can be found in its projection: where the columns that make them are
/// visible. The first rows of a whole input are few: they have a table of their own, which shows what a change must come
/// before to matter; so have windows over a whole input in an order, from whose rows changes are followed as far as they
/// reach.
pub(super) fn holds_partitions(node: &Node, exprs: &[Expr]) -> bool {
    let is_short = node.is_global() && matches!(node.partition(), Some(Partition::TopN { .. }));
    let keys: Vec<&Column> = node.keys.iter().collect();
    let is_ordered = node.partition().is_some_and(|rule| rule.order().is_some());
    !is_short && !is_ordered && keys::positions_of(&keys, exprs).is_some()
}

/// Finds the columns of images that joins look up.
pub(super) fn place_image_indexes(images: &mut [Image], nodes: &[Node], output: &Output) {
    let blocks = blocks_of(nodes, output).chain(images.iter().flat_map(Image::blocks));
    for (source, position) in looked_up(blocks) {
        if let Source::Image(image) = source
            && let Some(image) = images.get_mut(image)
            && !image.indexes.contains(&position)
            && (image.opaque.columns.get(position)).is_some_and(|c| c.ty.bounded && c.ty.sortable)
        {
            image.indexes.push(position);
        }
    }
}

/// The columns of nodes and images that joins of these blocks look up: what is looked up, and the position
/// among its columns.
fn looked_up<'a>(blocks: impl Iterator<Item = &'a Block>) -> Vec<(Source, usize)> {
    let mut found = Vec::new();
    for branch in blocks.flat_map(|block| &block.branches) {
        for factor in &branch.scans {
            let (BlockScan::Node { columns, .. } | BlockScan::Image { columns, .. }) = &factor.scan
            else {
                continue;
            };
            let own: BTreeSet<ColumnId> = columns.iter().map(|c| c.id).collect();
            let on = factor.outer.iter().flat_map(|outer| &outer.on);
            let conditions: Vec<&Predicate> = branch.predicates.iter().chain(on).collect();
            let is_equated = |id| {
                keys::equalities_of(conditions.iter().copied(), id).any(|other| {
                    let reads = other.columns();
                    !reads.is_empty() && reads.is_disjoint(&own)
                })
            };
            let positions = columns
                .iter()
                .enumerate()
                .filter(|(_, c)| is_equated(c.id))
                .map(|(position, _)| position);
            found.extend(
                factor
                    .source()
                    .into_iter()
                    .flat_map(|source| positions.clone().map(move |position| (source, position))),
            );
        }
    }
    found
}

/// Where the state columns of a node stand in the output, if they all do.
fn state_in_output(node: &Node, predicates: &[Predicate], exprs: &[Expr]) -> Option<Vec<usize>> {
    if !predicates.is_empty() || matches!(node.maintenance, Maintenance::Recompute) {
        return None;
    }
    let state = node.state_as_columns()?;
    (state.into_iter())
        .map(|id| exprs.iter().position(|e| e.as_column() == Some(id)))
        .collect()
}

//! Where each node keeps its state: in the output, in a table of its own, or nowhere.

use super::maintenance::{Maintenance, Partition};
use crate::tree::Column;

use super::block::Source;
use super::{Identity, Node, Output, Store, blocks_of, keys};
/// Decides where each node keeps its state. Over images it is always a table, from which the first fill
/// is read, because the query itself would compute their subqueries again.
pub(super) fn place_state(nodes: &mut [Node], output: &Output, has_images: bool) {
    for (source, position) in keys::looked_up(blocks_of(nodes, output)) {
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
        if let Some(positions) = keys::state_in_output(last, predicates, exprs) {
            last.store = Store::Output(positions);
        } else if matches!(last.maintenance, Maintenance::Recompute) {
            last.store = Store::None;
        }
    }
}

//! The first rows of an order, without reading all rows.
//!
//! The first n rows S of a whole input are unchanged if no row of ΔR is among the first n of S ⊎ ΔR, with changed
//! rows ordered before equal stored ones. Otherwise they are queried again: O(n) with an index in their order.
//! The first rows of touched partitions cost the same, if an index covers key and order.

use std::collections::BTreeSet;

use crate::canary;
use crate::plan::{BlockScan, Factor, Node, Source};
use crate::sql::names::accumulator;
use crate::sql::render_over;
use crate::sql::state_table;
use crate::tree::{ColumnId, Expr, SortKey};

use super::block_columns::{block_name, names_under};
use super::join;
use crate::operators::statement::{BlockDelta, Context};
use crate::plan::Partition;

/// Whether a changed row is among the first rows of a whole input; `None` where only the partitions tell.
pub fn touched(
    context: Context<'_>,
    node: &Node,
    partition: &Partition,
    changed: &BTreeSet<Source>,
) -> Option<BlockDelta> {
    let Partition::TopN {
        order,
        limit: Some(limit),
        ..
    } = partition
    else {
        return None;
    };
    if !node.is_global() {
        return None;
    }
    let name = block_name(node);
    let keys = |from: &str, names: &dyn Fn(usize) -> String| {
        let printed = names_under(node, from, names);
        let keys = order.iter().zip(0..);
        keys.map(|(key, i)| format!("{} AS o{i}, ", render_over(&key.expr, &printed)))
            .collect::<String>()
    };
    let mut by: Vec<String> = (order.iter().zip(0..))
        .map(|(key, i)| key.render(|_| format!("f.o{i}")))
        .collect();
    by.push("f.is_changed DESC".into());
    if canary::active(canary::FIRST_ROWS_STAY) {
        by = vec!["f.is_changed ASC".into()];
    }
    let mut delta = join::differentiate(context, &node.block, changed, &name);
    delta.terms = delta.terms.map(|terms| {
        format!(
            "SELECT count(*) AS d FROM (SELECT f.is_changed FROM (\
             SELECT {}1 AS is_changed FROM (\n{terms}\n) AS d\n\
             UNION ALL SELECT {}0 FROM {} AS s) AS f\nORDER BY {} LIMIT {limit}) AS f\n\
             WHERE f.is_changed = 1 HAVING count(*) > 0",
            keys("d", &name),
            keys("s", &|position| accumulator(position)),
            state_table(context.state_prefix, node.id),
            by.join(", "),
        )
    });
    Some(delta)
}

/// Whether the first rows of a key are the first entries of an index.
pub(super) fn is_sorted_by_index(node: &Node, order: &[SortKey]) -> bool {
    let [branch] = node.block.branches.as_slice() else {
        return false;
    };
    let [
        Factor {
            scan: BlockScan::Table(table),
            outer: None,
        },
    ] = branch.scans.as_slice()
    else {
        return false;
    };
    let attnum = |id: ColumnId| {
        let position = node.block.columns.iter().position(|c| c.id == id)?;
        let id = branch.outputs.get(position)?.as_column()?;
        let column = table.columns.iter().find(|c| c.column.id == id)?;
        Some(column.attnum)
    };
    let keys: Option<BTreeSet<i16>> = node.keys.iter().map(|key| attnum(key.id)).collect();
    // ORDER BY begins with the keys of DISTINCT ON, which say nothing within a partition.
    let first = order
        .iter()
        .map(|key| key.expr.as_column().and_then(attnum))
        .find(|attnum| {
            !keys
                .as_ref()
                .zip(*attnum)
                .is_some_and(|(k, a)| k.contains(&a))
        });
    let (Some(keys), Some(Some(first))) = (keys, first) else {
        return false;
    };
    table.indexes.iter().any(|index| {
        let leading: Option<BTreeSet<i16>> =
            index.attnums.iter().take(keys.len()).copied().collect();
        leading.as_ref() == Some(&keys) && index.attnums.get(keys.len()) == Some(&Some(first))
    })
}

/// The ORDER BY clause of a partition, in which its keys are the same in all rows.
pub(super) fn order_within(
    node: &Node,
    order: &[SortKey],
    print: impl Fn(&Expr) -> String,
) -> String {
    let says_something = |key: &&SortKey| {
        let column = key.expr.as_column();
        !key.is_default_order || !node.keys.iter().any(|k| Some(k.id) == column)
    };
    let keys: Vec<String> = order
        .iter()
        .filter(says_something)
        .map(|key| key.render(&print))
        .collect();
    if keys.is_empty() {
        String::new()
    } else {
        format!("ORDER BY {}", keys.join(", "))
    }
}

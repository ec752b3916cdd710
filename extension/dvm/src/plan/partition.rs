//! Windows and first rows as nodes.

use super::maintenance::Maintenance;
use super::maintenance::Partition;
use super::reach::Order;
use crate::tree::{Column, ColumnId, Expr, Relation};

use super::block::{Block, Branch};
use super::branches::first;
use super::compile::Compiler;
use super::{Identity, keys, ties};

impl Compiler {
    /// Adds a node of partitions by these columns of its input.
    pub(super) fn partition(
        &mut self,
        input: Relation,
        by: &[ColumnId],
        mut rule: Partition,
    ) -> Result<Vec<Branch>, crate::Error> {
        let input_columns = input.columns();
        let mut shown = input_columns.clone();
        shown.extend(rule.calls().iter().map(|call| call.column.clone()));
        let columns = first(by, input_columns);
        let exprs: Vec<Expr> = columns.iter().map(Expr::of).collect();
        let branches = self.projected(input, exprs.iter())?;
        let partition_keys: Vec<Column> = columns
            .iter()
            .filter(|c| by.contains(&c.id))
            .cloned()
            .collect();
        let block = Block { columns, branches };
        let one_each = matches!(
            rule,
            Partition::TopN {
                limit: Some(0 | 1),
                with_ties: false,
                ..
            }
        );
        let input_key = match block.branches.as_slice() {
            [branch] => match keys::of_branch(branch, &self.nodes) {
                Identity::Key { columns, .. } => Some(columns),
                Identity::Image => None,
            },
            _ => None,
        };
        let is_set = input_key.is_some();
        ties::trim(&block, &self.nodes, &partition_keys, &mut rule);
        ties::check(&block, &self.nodes, &partition_keys, is_set, &rule)?;
        if let Partition::Window { calls, order } = &mut rule
            && partition_keys.is_empty()
        {
            *order = Order::of(&block.columns, calls, is_set);
        }
        let row_key = if one_each {
            Some((0..partition_keys.len()).collect())
        } else {
            input_key
        };
        let maintenance = Maintenance::Partition(rule);
        let node = self.add(block, partition_keys, Vec::new(), maintenance, row_key);
        Ok(vec![Branch::of_node(node.id, node.columns(), &shown)])
    }
}

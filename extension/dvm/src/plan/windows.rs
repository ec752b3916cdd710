//! Windows over a whole input with several orders, or combined with partitioned ones: a node for each.
//!
//! ```text
//! f over o, g over p, h by k  →  f over o (g over p (h by k))
//! ```
//! In one node a change would affect all rows. Each node adds its results to the rows, and a row keeps its key, so the
//! next node applies the delta of the one below. Rows that may be alike stay in one node, where they have one place;
//! so do all calls, if one of them reads all rows in any order.

use std::collections::BTreeSet;

use crate::tree::{ColumnId, Expr, Relation, WindowCall};

use super::compile::Compiler;
use super::{Identity, keys};

/// What calls must have in common to be in one node: the columns that they partition by, or the first key of an
/// order in which changes reach only so far.
#[derive(PartialEq, Eq)]
enum Kind {
    Partition(BTreeSet<ColumnId>),
    Order(ColumnId, bool),
}

impl Compiler {
    /// The same windows, in several operators if that is worth it.
    pub(super) fn windows_apart(&mut self, relation: Relation) -> Result<Relation, crate::Error> {
        let Relation::Window {
            input,
            partition,
            calls,
        } = &relation
        else {
            return Ok(relation);
        };
        let Some(parts) = parts(partition, calls) else {
            return Ok(relation);
        };
        let branches = self.linearise((**input).clone())?;
        let is_set = match branches.as_slice() {
            [branch] => matches!(keys::of_branch(branch, &self.nodes), Identity::Key { .. }),
            _ => false,
        };
        if !is_set {
            return Ok(relation);
        }
        let columns = relation.columns().into_iter().map(|column| {
            let expr = Expr::of(&column);
            (column, expr)
        });
        let columns = columns.collect();
        let nested = parts
            .into_iter()
            .fold((**input).clone(), |input, (kind, mut calls)| {
                let partition = match kind {
                    Kind::Partition(by) => {
                        calls.iter_mut().for_each(|call| call.partition.clear());
                        by.into_iter().collect()
                    }
                    Kind::Order(..) => Vec::new(),
                };
                Relation::Window {
                    input: Box::new(input),
                    partition,
                    calls,
                }
            });
        Ok(nested.projected(columns))
    }
}

/// The calls of each node, those with partitions first; `None` where one is enough.
fn parts(partition: &[ColumnId], calls: &[WindowCall]) -> Option<Vec<(Kind, Vec<WindowCall>)>> {
    if !partition.is_empty() {
        return None;
    }
    let mut parts: Vec<(Kind, Vec<WindowCall>)> = Vec::new();
    for call in calls {
        let kind = match &call.reach {
            _ if !call.partition.is_empty() => {
                let by = call.partition.iter().map(Expr::as_column);
                Kind::Partition(by.collect::<Option<_>>()?)
            }
            Some(reach) => {
                let first = call.order.first()?.expr.as_column()?;
                Kind::Order(first, reach.order.descending)
            }
            None => return None,
        };
        match parts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, calls)) => calls.push(call.clone()),
            None => parts.push((kind, vec![call.clone()])),
        }
    }
    parts.sort_by_key(|(kind, _)| matches!(kind, Kind::Order(..)));
    let has_order = parts
        .iter()
        .any(|(kind, _)| matches!(kind, Kind::Order(..)));
    (has_order && parts.len() > 1).then_some(parts)
}

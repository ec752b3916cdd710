//! What the windows of a level compute, and what they need below them.

use std::collections::BTreeSet;

use pgtrickle_dvm::tree::{Aggregate, Column, ColumnId, Expr, Relation, WindowCall};

use super::analyzer::Analyzer;
use super::stage::Pending;
use crate::pg::node::Node;

/// The window functions of a level, ready to be computed.
#[derive(Default)]
pub(super) struct Windows {
    /// Flattened calls, and the columns that carry their results.
    pub known: Vec<(Node, ColumnId)>,
    pub calls: Vec<(BTreeSet<ColumnId>, WindowCall)>,
    /// What is computed below the windows.
    computed: Vec<(Column, Expr)>,
    pub pending: Vec<Pending>,
    pub offsets: Offsets,
}

/// What the rows carry of offsets that subqueries give.
#[derive(Default)]
pub(super) struct Offsets {
    /// The columns with their values.
    pub carried: BTreeSet<ColumnId>,
    /// Those of ROWS and GROUPS, in a group of its own: a wrong one fails also where there are no rows.
    pub checked: Vec<Aggregate>,
    pub pending: Vec<Pending>,
}

impl Offsets {
    /// The rows of `input` beside the checked values.
    fn beside(self, input: Relation) -> Relation {
        if self.checked.is_empty() {
            return input;
        }
        let pending = self.pending.into_iter();
        let values = pending.fold(Relation::SingleRow, |row, pending| pending.over(row));
        input.joined(values.grouped(Vec::new(), self.checked), Vec::new())
    }
}

impl Windows {
    /// The results beside the columns of `input` that are read and what is computed of them.
    fn over(self, input: Relation, mut read: BTreeSet<ColumnId>) -> Relation {
        let input = (self.pending.into_iter()).fold(input, |input, pending| pending.over(input));
        read.extend(&self.offsets.carried);
        let input = self.offsets.beside(input);
        for (partition, call) in &self.calls {
            read.extend(partition);
            read.extend(call.exprs().flat_map(Expr::columns));
        }
        let columns = input.columns().into_iter().filter(|c| read.contains(&c.id));
        let columns = columns.map(|column| {
            let expr = Expr::of(&column);
            (column, expr)
        });
        let input = Relation::Project {
            columns: columns.chain(self.computed).collect(),
            input: Box::new(input),
        };
        let sets: Vec<BTreeSet<ColumnId>> =
            self.calls.iter().map(|(keys, _)| keys.clone()).collect();
        let mut operators: Vec<(BTreeSet<ColumnId>, Vec<WindowCall>)> = Vec::new();
        for (keys, mut call) in self.calls {
            let smallest = sets.iter().filter(|other| other.is_subset(&keys));
            let by = smallest.min_by_key(|set| set.len()).cloned();
            let by = by.unwrap_or_else(|| keys.clone());
            call.partition.retain(|expr| {
                let id = expr.as_column();
                !id.is_some_and(|id| by.contains(&id))
            });
            match operators.iter_mut().find(|(known, _)| *known == by) {
                Some((_, calls)) => calls.push(call),
                None => operators.push((by, vec![call])),
            }
        }
        operators
            .into_iter()
            .fold(input, |input, (by, calls)| Relation::Window {
                input: Box::new(input),
                partition: by.into_iter().collect(),
                calls,
            })
    }

    /// The column that carries an expression over the input, if one does.
    fn carries(&self, expr: &Expr) -> Option<&Column> {
        let mut computed = self.computed.iter();
        computed.find(|(_, known)| known == expr).map(|(c, _)| c)
    }
}

impl Analyzer {
    /// The windows over `input` under a select list, of which they compute what they can: so partitions hold
    /// what is shown and not what it is made of. `read` is what else is read above.
    pub fn windowed(
        &mut self,
        mut windows: Windows,
        input: Relation,
        selected: &mut [(Column, Expr)],
        mut read: BTreeSet<ColumnId>,
    ) -> Relation {
        let below: BTreeSet<ColumnId> = input.columns().iter().map(|c| c.id).collect();
        for (column, expr) in selected {
            if expr.as_column().is_none() && expr.columns().is_subset(&below) {
                let known = windows.carries(expr).cloned();
                let carrier = known.unwrap_or_else(|| {
                    let id = self.fresh(column.id);
                    let carrier = Column {
                        id,
                        ..column.clone()
                    };
                    windows.computed.push((carrier.clone(), expr.clone()));
                    carrier
                });
                *expr = Expr::of(&carrier);
            } else {
                read.extend(expr.columns());
            }
        }
        let windowed = windows.over(input, read);
        self.storable(windowed)
    }

    /// The column below the windows that carries a bound expression.
    pub(super) fn carrier(&mut self, bound: Node, windows: &mut Windows) -> Column {
        let expr = self.expression(bound);
        let own = expr.as_column().and_then(|id| self.slot(id));
        let own = own.map(|slot| slot.column.clone());
        if let Some(column) = own.or_else(|| windows.carries(&expr).cloned()) {
            return column;
        }
        let scale = self.scale(bound);
        let ty = (bound.type_oid(), bound.typmod(), bound.collation());
        let column = self.add_column("computed", ty, expr.nullable, scale);
        windows.computed.push((column.clone(), expr));
        column
    }
}

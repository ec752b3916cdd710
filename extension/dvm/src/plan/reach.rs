//! Which rows a change affects in a window over a whole input, if not all.

use crate::tree::{Ahead, Carry, Column, Comparisons, Ties, WindowCall};

/// The order of the calls of a node, and how far changes reach in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Order {
    /// Position of the first key among the columns of the block.
    pub column: usize,
    /// How it compares.
    pub compare: Comparisons,
    /// How many rows before a changed one are reached.
    pub back: u64,
    /// How many after it; `None`: all.
    pub ahead: Option<u64>,
    /// How many rows before the first that is reached its result may follow from, but for what is carried.
    pub before: u64,
}

impl Order {
    /// The order of calls over these columns, if there is one that has an end or can be carried. `is_set`: no two
    /// rows are alike.
    pub fn of(columns: &[Column], calls: &[WindowCall], is_set: bool) -> Option<Self> {
        let first = calls.first()?;
        let key = first.order.first()?.expr.as_column()?;
        let position = columns.iter().position(|c| c.id == key)?;
        let ty = &columns.get(position)?.ty;
        if !ty.sortable || !ty.bounded {
            return None;
        }
        let mut order = Order {
            column: position,
            compare: first.reach.as_ref()?.order.clone(),
            back: 0,
            ahead: Some(0),
            before: 0,
        };
        for call in calls {
            let reach = call.reach.as_ref()?;
            let same = call.order.first()?.expr.as_column() == Some(key)
                && reach.order == order.compare
                && call.partition.is_empty();
            if !same {
                return None;
            }
            order.back = order.back.max(reach.back);
            match &reach.ahead {
                Ahead::Rows(rows) => {
                    order.ahead = order.ahead.map(|most| most.max(*rows));
                    order.before = order.before.max(*rows);
                }
                // Of rows that are alike the last is not known, but the greatest number is its.
                Ahead::All(Carry::Count | Carry::Rank) => order.ahead = None,
                Ahead::All(_) if is_set || call.ties != Ties::Rows => order.ahead = None,
                Ahead::All(_) => return None,
            }
        }
        Some(order)
    }
}

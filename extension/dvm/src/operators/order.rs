//! The order in which a wide term joins its items: from a delta along the conditions, so that each step is a
//! look-up by rows of the steps before it.
//!
//! The planner's search is exponential in the number of items. It chooses the order of small terms; a
//! wide one states its own, marked by [`IN_ORDER`], and is planned with `join_collapse_limit = 1`, in time
//! linear in the items.
//!
//! An outer join whose padded rows fail a condition of the term is an inner join, and can be entered from
//! either side.

use std::collections::BTreeSet;

use crate::sql::printing::{Printed, render_over};
use crate::tree::{ColumnId, Predicate};

use super::links::Link;

/// In front of a FROM list that has to be joined in the order in which it stands.
pub(super) const IN_ORDER: &str = "/* in this order */";

/// Whether a statement states the order of its joins, and is to be planned in that.
pub fn states_its_order(sql: &str) -> bool {
    sql.contains(IN_ORDER)
}

/// What stands in FROM for a factor.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The relation with its alias.
    pub relation: String,
    /// The ON condition of an outer join.
    pub on: Option<Vec<Condition>>,
    /// Its columns.
    pub columns: BTreeSet<ColumnId>,
    /// The columns of earlier items that it is computed from.
    pub reads: BTreeSet<ColumnId>,
    /// Whether it holds changes only.
    pub is_delta: bool,
}

/// A condition over items.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// Its text.
    pub text: String,
    /// The columns that it reads.
    pub columns: BTreeSet<ColumnId>,
    /// Those of them that are not NULL where it holds.
    pub not_null: BTreeSet<ColumnId>,
    /// What else it may be written as.
    pub link: Option<Link>,
}

impl Condition {
    pub fn new(predicate: &Predicate, printed: &Printed) -> Self {
        Condition {
            text: format!("({})", render_over(&predicate.expr, printed)),
            columns: predicate.expr.columns(),
            not_null: predicate.not_null(),
            link: Link::of(predicate, printed),
        }
    }
}

/// The items in the order in which they are joined, with those outer joins turned into inner ones whose rows
/// of NULLs fail a condition. Their conditions are added to the others.
pub(super) fn ordered(mut items: Vec<Item>, conditions: &mut Vec<Condition>) -> Vec<Item> {
    reduce(&mut items, conditions);
    let mut placed: BTreeSet<ColumnId> = BTreeSet::new();
    let mut order: Vec<Item> = Vec::with_capacity(items.len());
    while !items.is_empty() {
        let best = (0..items.len()).min_by_key(|at| {
            let rank = items.get(*at).map(|item| rank(item, &placed, conditions));
            (rank, *at)
        });
        let Some(next) = best.map(|at| items.remove(at)) else {
            break;
        };
        placed.extend(next.columns.iter().copied());
        order.push(next);
    }
    order
}

/// How soon an item is joined to those that hold `placed`: the lowest first.
fn rank(item: &Item, placed: &BTreeSet<ColumnId>, conditions: &[Condition]) -> u8 {
    let on_reads = item.on.iter().flatten().flat_map(|c| &c.columns);
    let is_open = on_reads
        .chain(&item.reads)
        .all(|id| placed.contains(id) || item.columns.contains(id));
    if !is_open {
        return 5;
    }
    let joins = |condition: &Condition| {
        let reads = &condition.columns;
        !reads.is_disjoint(&item.columns)
            && !reads.is_disjoint(placed)
            && reads
                .iter()
                .all(|id| placed.contains(id) || item.columns.contains(id))
    };
    let is_joined = !item.reads.is_empty() || conditions.iter().any(joins);
    match (&item.on, item.is_delta, is_joined) {
        (_, true, true) => 0,
        (_, true, false) if placed.is_empty() => 0,
        (None, false, true) => 1,
        (Some(_), ..) => 2,
        (None, true, false) => 3,
        (None, false, false) => 4,
    }
}

fn reduce(items: &mut [Item], conditions: &mut Vec<Condition>) {
    let mut not_null: BTreeSet<ColumnId> = conditions
        .iter()
        .flat_map(|c| &c.not_null)
        .copied()
        .collect();
    while let Some(item) = items
        .iter_mut()
        .find(|item| item.on.is_some() && !item.columns.is_disjoint(&not_null))
    {
        let on = item.on.take().unwrap_or_default();
        not_null.extend(on.iter().flat_map(|c| &c.not_null).copied());
        conditions.extend(on);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::testing::equal;

    fn item(relation: &str, column: u32, on: Option<Predicate>) -> Item {
        Item {
            relation: relation.into(),
            on: on.map(|p| vec![Condition::new(&p, &Printed::new())]),
            columns: BTreeSet::from([ColumnId(column), ColumnId(column + 1)]),
            reads: BTreeSet::new(),
            is_delta: relation.starts_with('d'),
        }
    }

    fn names(items: &[Item]) -> Vec<String> {
        let name = |item: &Item| match item.on {
            Some(_) => format!("left {}", item.relation),
            None => item.relation.clone(),
        };
        items.iter().map(name).collect()
    }

    fn order(items: Vec<Item>, conditions: &[Predicate]) -> Vec<String> {
        let mut conditions = conditions
            .iter()
            .map(|p| Condition::new(p, &Printed::new()))
            .collect();
        names(&ordered(items, &mut conditions))
    }

    #[test]
    fn a_chain_is_walked_back_from_its_delta() {
        let items = vec![
            item("a", 10, None),
            item("b", 20, None),
            item("d", 30, None),
        ];
        let conditions = [equal("$11", "$20"), equal("$21", "$30")];
        assert_eq!(order(items, &conditions), ["d", "b", "a"]);
    }

    #[test]
    fn an_outer_join_that_the_delta_matches_is_an_inner_one() {
        let chain = || {
            vec![
                item("a", 10, None),
                item("b", 20, Some(equal("$11", "$20"))),
                item("c", 30, Some(equal("$21", "$30"))),
                item("d", 40, None),
            ]
        };
        assert_eq!(order(chain(), &[equal("$31", "$40")]), ["d", "c", "b", "a"]);
        let of_first = order(chain(), &[equal("$10", "$40")]);
        assert_eq!(of_first, ["d", "a", "left b", "left c"]);
    }

    #[test]
    fn computed_rows_come_after_what_they_are_computed_from() {
        let mut computed = item("f", 30, None);
        computed.reads.insert(ColumnId(11));
        let items = vec![computed, item("a", 10, None), item("d", 20, None)];
        assert_eq!(order(items, &[equal("$10", "$20")]), ["d", "a", "f"]);
    }

    #[test]
    fn two_deltas_meet_only_along_a_condition() {
        let items = vec![
            item("a", 10, None),
            item("d1", 20, None),
            item("d2", 30, None),
        ];
        let conditions = [equal("$10", "$20"), equal("$11", "$30")];
        assert_eq!(order(items, &conditions), ["d1", "a", "d2"]);
    }
}

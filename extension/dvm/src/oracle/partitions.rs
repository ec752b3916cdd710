//! Windows and first rows, alone, over and under groupings, joined.

use proptest::prelude::*;

use super::joins::replay_query;
use super::queries::{Draw, named};
use crate::tree::testing::{
    aggregate, column, condition, expr, filter, first_rows, group, integer, join, project, sort_key,
};
use crate::tree::{
    AggregateKind, Ahead, Carry, ColumnId, Comparisons, Expr, Reach, Relation, SortKey, Ties,
    WindowCall,
};

const DIRECTIONS: [&str; 3] = ["ASC NULLS LAST", "DESC NULLS FIRST", "ASC NULLS FIRST"];

/// Frames that take whole peer groups, and those that do not.
const PEER_FRAMES: [&str; 4] = [
    "",
    "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    "GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES",
    "GROUPS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW",
];
const ROW_FRAMES: [&str; 2] = [
    "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
    "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING EXCLUDE GROUP",
];

impl Draw<'_> {
    fn key(&mut self, column: String) -> SortKey {
        sort_key(&column, DIRECTIONS[self.below(3)])
    }

    /// Some columns to partition by.
    fn partition(&mut self, relation: &Relation) -> Vec<ColumnId> {
        let columns = relation.columns();
        let mut by: Vec<ColumnId> = (0..[1, 1, 0, 2][self.below(4)])
            .filter_map(|_| columns.get(self.below(columns.len())))
            .map(|c| c.id)
            .collect();
        by.dedup();
        by
    }

    /// An order in which only rows that are alike are equal.
    fn total_order(&mut self, relation: &Relation) -> Vec<SortKey> {
        let mut columns = relation.columns();
        if !columns.is_empty() {
            let rotation = self.below(columns.len());
            columns.rotate_left(rotation);
        }
        columns
            .iter()
            .map(|c| self.key(format!("${}", c.id.0)))
            .collect()
    }

    /// Calls in one order over whole numbers, whose results follow from near rows or from those so far.
    fn reaching(&mut self, relation: &Relation) -> Vec<WindowCall> {
        let order = self.total_order(relation);
        let compare = comparisons(&order);
        (0..1 + self.below(3))
            .map(|_| {
                let value = self.column_of(relation);
                let by_peers = order[..1].to_vec();
                let (function, order, frame, ties, back, ahead) = match self.below(11) {
                    0 => (
                        "row_number()".to_owned(),
                        order.clone(),
                        "",
                        Ties::Rows,
                        0,
                        Ahead::All(Carry::Count),
                    ),
                    1 => (
                        "rank()".to_owned(),
                        by_peers,
                        "",
                        Ties::Harmless,
                        0,
                        Ahead::All(Carry::Rank),
                    ),
                    2 => (
                        "dense_rank()".to_owned(),
                        by_peers,
                        "",
                        Ties::Harmless,
                        0,
                        Ahead::All(Carry::Count),
                    ),
                    3 => (
                        format!("sum({value})"),
                        by_peers,
                        "",
                        Ties::Harmless,
                        0,
                        Ahead::All(Carry::Operator("+".into())),
                    ),
                    4 => (
                        format!("max({value}) FILTER (WHERE ({value} > 0))"),
                        by_peers,
                        "",
                        Ties::Harmless,
                        0,
                        Ahead::All(Carry::Function("GREATEST")),
                    ),
                    5 => (
                        format!("count({value})"),
                        by_peers,
                        "",
                        Ties::Harmless,
                        0,
                        Ahead::All(Carry::Count),
                    ),
                    6 => (
                        format!("lag({value}, 2, -9)"),
                        order.clone(),
                        "",
                        Ties::Rows,
                        0,
                        Ahead::Rows(2),
                    ),
                    7 => (
                        format!("lead({value})"),
                        order.clone(),
                        "",
                        Ties::Rows,
                        1,
                        Ahead::Rows(0),
                    ),
                    8 => (
                        format!("sum({value})"),
                        order.clone(),
                        "ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING",
                        Ties::Rows,
                        1,
                        Ahead::Rows(3),
                    ),
                    9 => (
                        format!("count({value})"),
                        order.clone(),
                        "ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING",
                        Ties::Rows,
                        3,
                        Ahead::Rows(0),
                    ),
                    _ => (
                        format!("first_value({value})"),
                        order.clone(),
                        "",
                        Ties::Rows,
                        0,
                        Ahead::All(Carry::First),
                    ),
                };
                WindowCall {
                    column: column(self.id(), "w", integer()),
                    function: expr(&function),
                    arguments: vec![expr(&value)],
                    partition: Vec::new(),
                    order,
                    frame: frame.into(),
                    ties,
                    reach: Some(Reach {
                        order: compare.clone(),
                        back,
                        ahead,
                    }),
                }
            })
            .collect()
    }

    /// A call. Those that see each row's place have one window, because rows that are alike have no place of
    /// their own in two.
    fn call(&mut self, relation: &Relation, one: &(Vec<Expr>, Vec<SortKey>)) -> WindowCall {
        let some_order = {
            let by = self.column_of(relation);
            vec![self.key(by)]
        };
        let value = self.column_of(relation);
        let (function, order, frame, ties) = match self.below(8) {
            0 => ("rank()".to_owned(), some_order, "", Ties::Harmless),
            1 => ("dense_rank()".to_owned(), some_order, "", Ties::Harmless),
            2 => (
                format!("sum({value})"),
                some_order,
                PEER_FRAMES[self.below(4)],
                Ties::Harmless,
            ),
            3 => (format!("count({value})"), Vec::new(), "", Ties::Harmless),
            4 => ("row_number()".to_owned(), one.1.clone(), "", Ties::Rows),
            5 => (
                format!("lag({value}, 1, -9)"),
                one.1.clone(),
                "",
                Ties::Rows,
            ),
            6 => (
                format!("sum({value}) FILTER (WHERE ({value} > 0))"),
                one.1.clone(),
                ROW_FRAMES[self.below(2)],
                Ties::Rows,
            ),
            _ => (
                format!("first_value({value})"),
                vec![sort_key(&value, DIRECTIONS[self.below(3)])],
                "",
                Ties::Arguments,
            ),
        };
        let partition = match ties {
            Ties::Rows => one.0.clone(),
            Ties::Harmless | Ties::Arguments => self.within(relation),
        };
        WindowCall {
            column: column(self.id(), "w", integer()),
            function: expr(&function),
            arguments: vec![expr(&value)],
            partition,
            order,
            frame: frame.into(),
            ties,
            reach: None,
        }
    }

    /// What a call partitions by beyond its operator.
    fn within(&mut self, relation: &Relation) -> Vec<Expr> {
        if self.one_in(4) {
            vec![expr(&self.column_of(relation))]
        } else {
            Vec::new()
        }
    }

    /// Window functions over the relation, perhaps with a condition on the results.
    pub fn windowed(&mut self, relation: Relation) -> Relation {
        let input = self.selected(relation);
        if !input.columns().is_empty() && self.one_in(3) {
            let calls = self.reaching(&input);
            // A NULL in the order has the whole computed again.
            let first = calls[0].order[0].expr.as_column();
            let known: Vec<_> = (first.into_iter())
                .filter(|_| !self.one_in(4))
                .map(|id| condition(&format!("(${} IS NOT NULL)", id.0)))
                .collect();
            return Relation::Window {
                input: Box::new(filter(input, known)),
                partition: Vec::new(),
                calls,
            };
        }
        let partition = self.partition(&input);
        let one = (self.within(&input), self.total_order(&input));
        let calls = (0..1 + self.below(3))
            .map(|_| self.call(&input, &one))
            .collect();
        let windowed = Relation::Window {
            input: Box::new(input),
            partition,
            calls,
        };
        if self.one_in(4) {
            let text = self.truth(&windowed);
            return filter(windowed, vec![condition(&text)]);
        }
        windowed
    }

    /// The first rows of the relation.
    pub fn first_rows(&mut self, relation: Relation) -> Relation {
        let input = self.selected(relation);
        let partition = self.partition(&input);
        let limit = [Some(1), Some(2), Some(3), Some(0), None][self.below(5)];
        if self.one_in(4) {
            let by = self.column_of(&input);
            let order = vec![self.key(by)];
            return first_rows(input, &partition, order, 0, limit, true);
        }
        let order = self.total_order(&input);
        let offset = [0, 0, 1, 2][self.below(4)];
        first_rows(input, &partition, order, offset, limit, false)
    }

    /// The first rows of the relation, as many as a table says: what LIMIT by the value of a subquery comes to.
    pub fn limited_by_value(&mut self, relation: Relation) -> Relation {
        let input = self.selected(relation);
        let kept: Vec<(u32, String)> = (input.columns().iter())
            .map(|c| (self.id(), format!("${}", c.id.0)))
            .collect();
        let order = self.total_order(&input);
        let (place, count) = (self.id(), self.id());
        let call = WindowCall {
            column: column(place, "place", integer()),
            function: expr("row_number()"),
            arguments: Vec::new(),
            partition: Vec::new(),
            frame: String::new(),
            ties: Ties::Rows,
            reach: Some(Reach {
                order: comparisons(&order),
                back: 0,
                ahead: Ahead::All(Carry::Count),
            }),
            order,
        };
        let numbered = Relation::Window {
            input: Box::new(input),
            partition: Vec::new(),
            calls: vec![call],
        };
        let counted = vec![aggregate(count, AggregateKind::CountStar, "")];
        let value = group(self.scan(), &[], counted);
        let within = condition(&format!("(${place} <= ${count} % 4)"));
        project(join(numbered, value, vec![within]), &named("x", &kept))
    }

    /// Either, over a join or a grouping, and perhaps below one.
    pub fn partitioned(&mut self) -> Relation {
        let scans = 1 + self.below(2);
        let mut relation = match self.below(3) {
            0 => self.scan(),
            1 => self.joined(scans),
            _ => self.nested(),
        };
        for _ in 0..1 + self.below(2) {
            relation = match self.below(5) {
                0 | 1 => self.windowed(relation),
                2 | 3 => self.first_rows(relation),
                _ => self.limited_by_value(relation),
            };
        }
        match self.below(5) {
            0 => self.selected(relation),
            1 => self.grouped(relation),
            2 => {
                let table = self.scan();
                let link = self.link(&relation, &table);
                let both = join(relation, table, link);
                self.selected(both)
            }
            _ => relation,
        }
    }
}

/// How the first key of an order compares.
fn comparisons(order: &[SortKey]) -> Comparisons {
    let operator = |name: &str| format!("OPERATOR(pg_catalog.{name})");
    Comparisons {
        descending: order[0].direction.starts_with("DESC"),
        less: operator("<"),
        at_most: operator("<="),
        at_least: operator(">="),
        greater: operator(">"),
    }
}

fn numbers() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(0_u16..1000, 0..400)
}

/// Refreshes a query with windows or first rows; the simulation compares each time.
pub fn replay(numbers: &[u16], inline_limit: usize) {
    replay_query(numbers, Draw::new, Draw::partitioned, 8, inline_limit);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn oracle_partitions(numbers in numbers(), limit in 1_usize..6) {
        replay(&numbers, limit);
    }
}

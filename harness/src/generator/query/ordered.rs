//! Windows, first rows and DISTINCT ON over the select list, and their SQL.
//!
//! Where a result follows the places of rows, everything that is shown is in the order, in a form in which
//! equal values look alike: otherwise the query would have several results.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::scoped::Scoped;
use super::super::types::Ty;
use super::subquery::Around;
use super::{Typed, typed};

/// A call of a window function.
#[derive(Debug, Clone)]
pub struct Call {
    function: u8,
    argument: Typed,
    partition: Typed,
    order: Typed,
    frame: u8,
}

/// What orders do to a select list.
#[derive(Debug, Clone)]
pub enum Ordered {
    /// Functions of peer groups, each with a window of its own.
    Peers(Vec<Typed>, Vec<Call>),
    /// Functions of places, in one window that partitions by the first columns.
    Places(Vec<Typed>, usize, Vec<Call>),
    /// Functions along an order of all rows that has no NULLs: its direction.
    Along(Vec<Typed>, u8, Vec<Call>),
    /// DISTINCT ON that many columns, directions, rows skipped, rows kept.
    First(Vec<Typed>, usize, u8, u8, u8),
    /// The first rows by the first column, with ties; directions, rows kept.
    WithTies(Vec<Typed>, u8, u8),
}

/// A shape.
pub fn ordered() -> impl Strategy<Value = Ordered> {
    let call = || {
        (any::<u8>(), typed(), typed(), typed(), any::<u8>()).prop_map(
            |(function, argument, partition, order, frame)| Call {
                function,
                argument,
                partition,
                order,
                frame,
            },
        )
    };
    prop_oneof![
        3 => (vec(typed(), 1..3), vec(call(), 1..3))
            .prop_map(|(shown, calls)| Ordered::Peers(shown, calls)),
        3 => (vec(typed(), 1..4), 0..3usize, vec(call(), 1..3))
            .prop_map(|(shown, by, calls)| Ordered::Places(shown, by, calls)),
        4 => (vec(typed(), 1..4), any::<u8>(), vec(call(), 1..3))
            .prop_map(|(shown, direction, calls)| Ordered::Along(shown, direction, calls)),
        3 => (vec(typed(), 1..4), 0..3usize, any::<u8>(), any::<u8>(), any::<u8>()).prop_map(
            |(shown, on, directions, skipped, kept)| {
                Ordered::First(shown, on, directions, skipped, kept)
            }
        ),
        1 => (vec(typed(), 1..3), any::<u8>(), any::<u8>())
            .prop_map(|(shown, directions, kept)| Ordered::WithTies(shown, directions, kept)),
    ]
}

/// Along an order of all rows, functions of all rows before: where the last of the others is forgotten, it shows.
pub fn running_totals<S: Strategy<Value = Typed>>(
    shown: impl Fn() -> S,
) -> impl Strategy<Value = Ordered> {
    let function = prop_oneof![3 => Just(4u8), 1 => Just(0u8), 1 => Just(1u8), 1 => Just(7u8)];
    let call = (function, shown(), any::<u8>()).prop_map(|(function, argument, frame)| Call {
        function,
        partition: argument.clone(),
        order: argument.clone(),
        argument,
        frame,
    });
    (vec(shown(), 1..3), 0u8..4, vec(call, 1..3))
        .prop_map(|(shown, direction, calls)| Ordered::Along(shown, direction, calls))
}

/// The parts of a query.
pub struct Clauses {
    /// Between SELECT and the list.
    pub word: String,
    /// The list, without names.
    pub list: Vec<(String, Ty)>,
    /// What follows WHERE.
    pub tail: String,
}

pub(super) const DIRECTIONS: [&str; 4] = ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"];

/// Frames of whole peer groups.
const PEER_FRAMES: [&str; 6] = [
    "",
    "",
    " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
    " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES",
    " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW",
];

/// Frames of rows.
const ROW_FRAMES: [&str; 3] = [
    " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
    " ROWS UNBOUNDED PRECEDING",
    " ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING EXCLUDE GROUP",
];

pub(super) fn pick<'a>(choices: &[&'a str], index: u8) -> &'a str {
    choices
        .get(usize::from(index) % choices.len().max(1))
        .copied()
        .unwrap_or("")
}

impl Ordered {
    /// The query's parts over these columns.
    pub fn clauses(&self, scope: &[Scoped], around: &Around<'_>) -> Clauses {
        match self {
            Ordered::Peers(shown, calls) => {
                let mut list: Vec<(String, Ty)> =
                    shown.iter().map(|typed| typed.plain(scope)).collect();
                list.extend(calls.iter().map(|call| call.of_peers(scope)));
                Clauses::of(list, String::new())
            }
            Ordered::Places(shown, by, calls) => {
                let mut list = settled(shown, scope);
                let shown: Vec<&str> = list.iter().map(|(sql, _)| sql.as_str()).collect();
                let by = shown
                    .iter()
                    .take(*by)
                    .copied()
                    .collect::<Vec<_>>()
                    .join(", ");
                let partition = if by.is_empty() {
                    by
                } else {
                    format!("PARTITION BY {by} ")
                };
                let tail = format!(" WINDOW w AS ({partition}ORDER BY {})", shown.join(", "));
                let called: Vec<(String, Ty)> = (calls.iter())
                    .map(|call| call.of_places(&list, around))
                    .collect();
                list.extend(called);
                Clauses::of(list, tail)
            }
            Ordered::Along(shown, direction, calls) => {
                let mut list = settled(shown, scope);
                // Numbers of rows are many, so that a change is seldom at the beginning.
                let number = scope.iter().find(|column| column.sql.ends_with(".id"));
                let key = match (list.first(), number.filter(|_| direction & 4 == 0)) {
                    (_, Some(id)) => format!("coalesce({}, 0)", id.sql),
                    (Some((sql, Ty::Int | Ty::BigInt | Ty::Money)), _) => {
                        format!("coalesce({sql}, 0)")
                    }
                    (Some((sql, Ty::Text | Ty::TextC)), _) => {
                        format!("coalesce(length({sql}), 0)")
                    }
                    (Some((sql, _)), _) => format!("({sql} IS NULL)"),
                    (None, _) => "1".to_owned(),
                };
                let tail = format!(
                    " WINDOW w AS (ORDER BY {key}{})",
                    pick(&DIRECTIONS, *direction)
                );
                let called: Vec<(String, Ty)> =
                    calls.iter().map(|call| call.along(&list, around)).collect();
                list.extend(called);
                Clauses::of(list, tail)
            }
            Ordered::First(shown, on, directions, skipped, kept) => {
                let list = settled(shown, scope);
                let on = (*on).min(list.len());
                let mut positions: Vec<usize> = (1..=list.len()).collect();
                if on == 0 {
                    positions.rotate_left(usize::from(*directions) % list.len().max(1));
                }
                let limit = match kept % 6 {
                    0 if on > 0 => String::new(),
                    rows => format!(" LIMIT {}", around.rows(*kept, rows, false)),
                };
                let offset = match skipped % 4 {
                    rows @ 1..3 => format!(" OFFSET {}", around.rows(*skipped, rows, false)),
                    _ => String::new(),
                };
                let first: Vec<String> = (1..=on).map(|p| p.to_string()).collect();
                Clauses {
                    word: match on {
                        0 => String::new(),
                        _ => format!("DISTINCT ON ({}) ", first.join(", ")),
                    },
                    list,
                    tail: format!("{}{limit}{offset}", order_by(&positions, *directions)),
                }
            }
            Ordered::WithTies(shown, directions, kept) => {
                let list = shown.iter().map(|typed| typed.plain(scope)).collect();
                let rows = 1 + kept % 4;
                let order = order_by(&[1], *directions);
                Clauses::of(list, format!("{order} FETCH FIRST {rows} ROWS WITH TIES"))
            }
        }
    }
}

impl Clauses {
    /// Without a word before the list.
    pub fn of(list: Vec<(String, Ty)>, tail: String) -> Self {
        Clauses {
            word: String::new(),
            list,
            tail,
        }
    }
}

fn order_by(positions: &[usize], directions: u8) -> String {
    let keys: Vec<String> = (0..)
        .zip(positions)
        .map(|(i, p)| format!("{p}{}", pick(&DIRECTIONS, directions >> (2 * (i % 4)))))
        .collect();
    format!(" ORDER BY {}", keys.join(", "))
}

/// The expressions in a form in which equal values look alike.
fn settled(exprs: &[Typed], scope: &[Scoped]) -> Vec<(String, Ty)> {
    exprs
        .iter()
        .map(|typed| match typed.plain(scope) {
            (sql, Ty::Money | Ty::Numeric) => (format!("({sql})::numeric(10,2)"), Ty::Money),
            (sql, Ty::Float) => (format!("({sql})::text"), Ty::Text),
            (sql, Ty::Loose) => (format!("({sql} COLLATE \"C\")"), Ty::TextC),
            (sql, Ty::Ints | Ty::Json | Ty::Span | Ty::Interval | Ty::Pair) => {
                (format!("({sql} IS NULL)"), Ty::Bool)
            }
            (sql, ty) => (format!("({sql})"), ty),
        })
        .collect()
}

impl Call {
    fn of_peers(&self, scope: &[Scoped]) -> (String, Ty) {
        let (argument, ty) = self.argument.plain(scope);
        let (function, ty) = match (self.function % 8, ty) {
            (0, _) => ("rank()".to_owned(), Ty::BigInt),
            (1, _) => ("dense_rank()".to_owned(), Ty::BigInt),
            (2, _) => (format!("count({argument})"), Ty::BigInt),
            (3, Ty::Int) => (format!("sum({argument})"), Ty::BigInt),
            (3, Ty::Float) => (format!("sum({argument})"), Ty::Float),
            (3, Ty::BigInt | Ty::Money | Ty::Numeric) => (format!("sum({argument})"), Ty::Numeric),
            (4, Ty::Int | Ty::BigInt) => (format!("avg({argument})"), Ty::Numeric),
            (5, Ty::Bool) => (format!("bool_or({argument})"), Ty::Bool),
            (5 | 6, ty) if ty.has_extremes() => {
                let value = ty.canonical(&argument);
                let ty = if ty == Ty::Money { Ty::Numeric } else { ty };
                (format!("max({value})"), ty)
            }
            _ => (
                format!("count(*) FILTER (WHERE {argument} IS NOT NULL)"),
                Ty::BigInt,
            ),
        };
        let (partition, _) = self.partition.plain(scope);
        let (order, _) = self.order.plain(scope);
        let is_aggregate = !function.ends_with("rank()");
        let window = match self.frame % 8 {
            7 if is_aggregate => String::new(),
            6 if is_aggregate => format!("PARTITION BY ({partition})"),
            5 => format!("ORDER BY ({order})"),
            frame => format!(
                "PARTITION BY ({partition}) ORDER BY ({order}){}{}",
                pick(&DIRECTIONS, self.frame >> 4),
                if is_aggregate {
                    pick(&PEER_FRAMES, frame)
                } else {
                    ""
                }
            ),
        };
        (format!("{function} OVER ({window})"), ty)
    }

    /// A frame of rows, now and then of as many as a subquery says.
    fn rows(&self, around: &Around<'_>) -> String {
        let frame = pick(&ROW_FRAMES, self.frame);
        match around.rows(self.function, 1, true) {
            number if number == "1" => frame.to_owned(),
            number => frame.replace("1 PRECEDING", &format!("{number} PRECEDING")),
        }
    }

    /// The call in the window `w`, which has all rows: totals so far, numbers and neighbours.
    fn along(&self, shown: &[(String, Ty)], around: &Around<'_>) -> (String, Ty) {
        let chosen = shown.get(usize::from(self.frame >> 4) % shown.len().max(1));
        let (argument, ty) = chosen.cloned().unwrap_or(("1".into(), Ty::Int));
        let rows = self.rows(around);
        match (self.function % 8, ty) {
            (0, _) => ("row_number() OVER w".into(), Ty::BigInt),
            (1, _) => ("rank() OVER w".into(), Ty::BigInt),
            (2, ty) => (format!("lag({argument}) OVER w"), ty),
            (3, ty) => (format!("lead({argument}, 2) OVER w"), ty),
            (4 | 5, Ty::Int) => (format!("sum({argument}) OVER w"), Ty::BigInt),
            (4 | 5, Ty::BigInt | Ty::Money) => (format!("sum({argument}) OVER w"), Ty::Numeric),
            (6, _) => (format!("count({argument}) OVER (w{rows})"), Ty::BigInt),
            _ => (format!("count({argument}) OVER w"), Ty::BigInt),
        }
    }

    /// The call in the window `w`, with one of the columns shown as its argument.
    fn of_places(&self, shown: &[(String, Ty)], around: &Around<'_>) -> (String, Ty) {
        let chosen = shown.get(usize::from(self.frame >> 4) % shown.len().max(1));
        let (argument, ty) = chosen.cloned().unwrap_or(("1".into(), Ty::Int));
        let rows = self.rows(around);
        match self.function % 6 {
            0 => ("row_number() OVER w".into(), Ty::BigInt),
            1 => (format!("lag({argument}) OVER w"), ty),
            2 => (format!("lead({argument}, 2) OVER w"), ty),
            3 => ("ntile(3) OVER w".into(), Ty::Int),
            4 => (format!("first_value({argument}) OVER (w{rows})"), ty),
            _ => (format!("count({argument}) OVER (w{rows})"), Ty::BigInt),
        }
    }
}

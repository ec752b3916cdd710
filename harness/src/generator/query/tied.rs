//! Orders that leave ties: the query has several right answers, and a stream table holds the one of the settled order.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::scoped::Scoped;
use super::super::types::Ty;
use super::ordered::{Clauses, DIRECTIONS, pick};
use super::subquery::Around;
use super::{Typed, typed};

/// What such an order decides.
#[derive(Debug, Clone)]
pub enum Tied {
    /// The first rows by so many of the columns, none among them: directions, rows skipped, rows kept.
    First(Vec<Typed>, usize, u8, u8, u8),
    /// DISTINCT ON the first column, by it and so many others; directions.
    Each(Vec<Typed>, usize, u8),
    /// Functions of places in one window: what is shown, partition, order, functions.
    Places(Vec<Typed>, Typed, Typed, Vec<u8>),
    /// Ordered aggregates by a key: function, argument, order.
    Gathered(Typed, Vec<(u8, Typed, Typed)>),
}

/// Such a shape.
pub fn tied() -> impl Strategy<Value = Tied> {
    prop_oneof![
        3 => (vec(typed(), 1..4), 0..3usize, any::<u8>(), any::<u8>(), any::<u8>()).prop_map(
            |(shown, by, directions, skipped, kept)| Tied::First(shown, by, directions, skipped, kept)
        ),
        2 => (vec(typed(), 2..4), 0..2usize, any::<u8>())
            .prop_map(|(shown, by, directions)| Tied::Each(shown, by, directions)),
        2 => (vec(typed(), 1..3), typed(), typed(), vec(any::<u8>(), 1..3))
            .prop_map(|(shown, partition, order, functions)| Tied::Places(shown, partition, order, functions)),
        2 => (typed(), vec((any::<u8>(), typed(), typed()), 1..3))
            .prop_map(|(key, calls)| Tied::Gathered(key, calls)),
    ]
}

/// Frames of rows.
const FRAMES: [&str; 3] = [
    " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
    " ROWS UNBOUNDED PRECEDING",
    " ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING EXCLUDE CURRENT ROW",
];

impl Tied {
    /// How many of the first columns, where there are columns enough, have the same values in every right answer,
    /// each of whose rows is one of the query without the choice; `None` for what does not choose rows.
    pub fn decided(&self) -> Option<usize> {
        match self {
            Self::First(shown, by, ..) => Some((*by).min(shown.len())),
            Self::Each(shown, by, _) => Some((1 + by).min(shown.len())),
            Self::Places(..) | Self::Gathered(..) => None,
        }
    }

    /// The query's parts over these columns.
    pub fn clauses(&self, scope: &[Scoped], around: &Around<'_>) -> Clauses {
        let shown = |exprs: &[Typed]| -> Vec<(String, Ty)> {
            exprs.iter().map(|typed| typed.plain(scope)).collect()
        };
        match self {
            Self::First(exprs, by, directions, skipped, kept) => {
                let list = shown(exprs);
                let order = order_by((*by).min(list.len()), *directions);
                let offset = match skipped % 4 {
                    rows @ 1..3 => format!(" OFFSET {}", around.rows(*skipped, rows, false)),
                    _ => String::new(),
                };
                let kept = around.rows(*kept, 1 + kept % 5, false);
                let tail = format!("{order} LIMIT {kept}{offset}");
                Clauses::of(list, tail)
            }
            Self::Each(exprs, by, directions) => {
                let mut list = shown(exprs);
                if let Some((first, ty)) = list.first_mut() {
                    *first = ty.canonical(first);
                }
                let tail = order_by((1 + by).min(list.len()), *directions);
                Clauses {
                    word: "DISTINCT ON (1) ".to_owned(),
                    ..Clauses::of(list, tail)
                }
            }
            Self::Places(exprs, partition, order, functions) => {
                let mut list = shown(exprs);
                let (partition, order) = (partition.plain(scope).0, order.plain(scope).0);
                let called: Vec<(String, Ty)> = functions
                    .iter()
                    .map(|function| place(*function, &list))
                    .collect();
                list.extend(called);
                let partition = match functions.first() {
                    Some(function) if function % 3 == 0 => String::new(),
                    _ => format!("PARTITION BY ({partition}) "),
                };
                let direction = pick(
                    &DIRECTIONS,
                    functions.first().map_or(0, |function| function >> 6),
                );
                Clauses::of(
                    list,
                    format!(" WINDOW w AS ({partition}ORDER BY ({order}){direction})"),
                )
            }
            Self::Gathered(key, calls) => {
                let (sql, ty) = key.plain(scope);
                let key = format!("({})", ty.canonical(&sql));
                let mut list = vec![(key.clone(), ty)];
                list.extend(calls.iter().map(|(function, argument, order)| {
                    let (argument, ty) = argument.plain(scope);
                    let order = order.plain(scope).0;
                    match function % 2 {
                        0 if ty != Ty::Ints => {
                            (format!("(array_agg({argument} ORDER BY ({order})))[1]"), ty)
                        }
                        _ if ty.prints() => (
                            format!("string_agg(({argument})::text, ',' ORDER BY ({order}))"),
                            Ty::Text,
                        ),
                        _ => ("count(*)".to_owned(), Ty::BigInt),
                    }
                }));
                Clauses::of(list, format!(" GROUP BY {key}"))
            }
        }
    }
}

/// By the first so many columns.
fn order_by(columns: usize, directions: u8) -> String {
    let keys: Vec<String> = (0..columns)
        .map(|i| {
            format!(
                "{}{}",
                i + 1,
                pick(&DIRECTIONS, directions >> (2 * (i % 4)))
            )
        })
        .collect();
    match keys.as_slice() {
        [] => String::new(),
        keys => format!(" ORDER BY {}", keys.join(", ")),
    }
}

/// A function of the row's place in the window `w`.
fn place(function: u8, shown: &[(String, Ty)]) -> (String, Ty) {
    let chosen = shown.get(usize::from(function >> 4) % shown.len().max(1));
    let (argument, ty) = chosen.cloned().unwrap_or(("1".into(), Ty::Int));
    let frame = pick(&FRAMES, function >> 5);
    match function % 7 {
        0 => ("row_number() OVER w".into(), Ty::BigInt),
        1 => (format!("lag({argument}) OVER w"), ty),
        2 => (format!("lead({argument}, 2) OVER w"), ty),
        3 => ("ntile(3) OVER w".into(), Ty::Int),
        4 => (format!("first_value({argument}) OVER (w{frame})"), ty),
        5 => (format!("last_value({argument}) OVER (w{frame})"), ty),
        _ => (format!("count({argument}) OVER (w{frame})"), Ty::BigInt),
    }
}

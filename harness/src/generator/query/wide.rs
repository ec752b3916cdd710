//! Joins of 8 to 16 relations over the tables there are, each with at most one partner for a row: whatever changes
//! in a table changes in every place where it is joined.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::schema::{Key, Table};
use super::super::types::Ty;

/// A relation of the join.
#[derive(Debug, Clone)]
struct Arm {
    table: u8,
    /// How it is joined.
    kind: u8,
    /// To which of those before it.
    left: u8,
    /// By that one's value, rather than by what identifies its row.
    by_value: bool,
}

/// Such a join.
#[derive(Debug, Clone)]
pub struct Wide(Vec<Arm>);

/// Such a join, mostly of one kind.
pub fn wide() -> impl Strategy<Value = Wide> {
    let arm = (
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        prop::bool::weighted(0.3),
    );
    let arms = vec(arm, 8..=16);
    (prop::option::weighted(0.7, any::<u8>()), arms).prop_map(|(kind, arms)| {
        let arm = |(table, own, left, by_value): (u8, u8, u8, bool)| Arm {
            table,
            kind: kind.unwrap_or(own),
            left,
            by_value,
        };
        Wide(arms.into_iter().map(arm).collect())
    })
}

impl Wide {
    /// The subquery, and its columns.
    pub fn render(&self, tables: &[Table]) -> (String, Vec<(String, Ty)>) {
        let mut from = String::new();
        // What identifies a row of each place, and its value.
        let mut places: Vec<(String, String)> = Vec::new();
        let mut values: Vec<String> = Vec::new();
        for (number, arm) in self.0.iter().enumerate() {
            let (item, own, value) = relation(tables, arm.table);
            let alias = format!("w{number}");
            let on = places.get(usize::from(arm.left) % places.len().max(1));
            let on = on.map(|(id, value)| if arm.by_value { value } else { id });
            let Some(on) = on else {
                from = format!("{item} {alias}");
                places.push((format!("{alias}.{own}"), format!("{alias}.{value}")));
                values.push(format!("{alias}.{value}"));
                continue;
            };
            let word = match arm.kind % 8 {
                0..=2 => "JOIN",
                3..=4 => "LEFT JOIN",
                5..=6 => "FULL JOIN",
                _ => {
                    values.push(format!(
                        "(SELECT {alias}.{value} FROM {item} {alias} WHERE {alias}.{own} = {on})"
                    ));
                    continue;
                }
            };
            from.push_str(&format!(" {word} {item} {alias} ON {alias}.{own} = {on}"));
            places.push((format!("{alias}.{own}"), format!("{alias}.{value}")));
            values.push(format!("{alias}.{value}"));
        }
        let sum: Vec<String> = (values.iter().zip(1..))
            .map(|(value, factor)| format!("coalesce({value}, 0) * {factor}"))
            .collect();
        let first = places.first().map_or("0", |(id, _)| id.as_str());
        (
            format!(
                "(SELECT {first} AS x, ({})::int AS n FROM {from})",
                sum.join(" + ")
            ),
            vec![("x".into(), Ty::Int), ("n".into(), Ty::Int)],
        )
    }
}

/// A relation over a table: what stands in FROM, the column that identifies a row, and another.
fn relation(tables: &[Table], table: u8) -> (String, &'static str, &'static str) {
    let index = usize::from(table) % tables.len().max(1);
    match tables.get(index) {
        Some(table) if table.key == Key::Primary => (format!("t{index}"), "id", "k"),
        _ => (
            format!("(SELECT k, count(*)::int AS n FROM t{index} GROUP BY k)"),
            "k",
            "n",
        ),
    }
}

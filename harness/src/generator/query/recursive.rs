//! Recursion that ends after few steps, or when nothing new is found.

use proptest::prelude::*;

use super::super::expr::{Expr, expr};
use super::super::schema::Table;
use super::super::scoped::Scoped;
use super::super::types::Ty;

/// A walk over the values of a table: each step from `k` to another column or expression.
#[derive(Debug, Clone)]
pub struct Recursive {
    table: u8,
    /// Another table that each step passes by.
    other: Option<u8>,
    all: bool,
    /// Whether the steps are counted; otherwise values are found once.
    counted: bool,
    /// Whether it begins everywhere.
    anywhere: bool,
    step: Expr,
}

/// Such a walk.
pub fn recursive() -> impl Strategy<Value = Recursive> {
    (
        any::<u8>(),
        prop::option::weighted(0.2, any::<u8>()),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.4),
        prop::bool::weighted(0.5),
        expr(),
    )
        .prop_map(|(table, other, all, counted, anywhere, step)| Recursive {
            table,
            other,
            all,
            counted,
            anywhere,
            step,
        })
}

impl Recursive {
    /// The subquery, and its columns.
    pub fn render(&self, tables: &[Table]) -> (String, Vec<(String, Ty)>) {
        let index_of = |table: u8| usize::from(table) % tables.len().max(1);
        let index = index_of(self.table);
        let scope: Vec<Scoped> = tables
            .get(index)
            .into_iter()
            .flat_map(Table::column_infos)
            .map(|column| Scoped {
                sql: format!("i.{}", column.name),
                ty: column.ty,
            })
            .collect();
        let (word, n, depth) = match (self.all, self.counted) {
            (true, _) => ("UNION ALL", "r.n + 1", 2),
            (false, true) => ("UNION", "r.n + 1", 4),
            // The values of a table are finite.
            (false, false) => ("UNION", "r.n", 1),
        };
        let other = self.other.map_or_else(String::new, |table| {
            format!(" JOIN t{} o ON o.k = i.k", index_of(table))
        });
        let start = if self.anywhere { "" } else { " WHERE i.k < 2" };
        let step = self.step.render(Ty::Int, &scope);
        (
            format!(
                "(WITH RECURSIVE r(x, n) AS (SELECT i.k, 0 FROM t{index} i{start} {word} \
                 SELECT {step}, {n} FROM r JOIN t{index} i ON i.k = r.x{other} WHERE r.n < {depth}) \
                 SELECT x, n FROM r)"
            ),
            vec![("x".into(), Ty::Int), ("n".into(), Ty::Int)],
        )
    }
}

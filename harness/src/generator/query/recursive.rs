//! Recursion that ends after few steps.

use proptest::prelude::*;

use super::super::expr::{Expr, Scoped, expr};
use super::super::schema::Table;
use super::super::types::Ty;

/// A chain of values of a table: each step from `k` to another column or expression.
#[derive(Debug, Clone)]
pub struct Recursive {
    table: u8,
    all: bool,
    step: Expr,
}

/// Such a chain.
pub fn recursive() -> impl Strategy<Value = Recursive> {
    (any::<u8>(), prop::bool::weighted(0.3), expr()).prop_map(|(table, all, step)| Recursive {
        table,
        all,
        step,
    })
}

impl Recursive {
    /// The subquery, and its columns.
    pub fn render(&self, tables: &[Table]) -> (String, Vec<(String, Ty)>) {
        let index = usize::from(self.table) % tables.len().max(1);
        let scope: Vec<Scoped> = tables
            .get(index)
            .into_iter()
            .flat_map(Table::column_infos)
            .map(|column| Scoped {
                sql: format!("i.{}", column.name),
                ty: column.ty,
            })
            .collect();
        let (word, depth) = if self.all {
            ("UNION ALL", 1)
        } else {
            ("UNION", 4)
        };
        let step = self.step.render(Ty::Int, &scope);
        (
            format!(
                "(WITH RECURSIVE r(x, n) AS (SELECT i.k, 0 FROM t{index} i {word} \
                 SELECT {step}, r.n + 1 FROM r JOIN t{index} i ON i.k = r.x WHERE r.n < {depth}) \
                 SELECT x, n FROM r)"
            ),
            vec![("x".into(), Ty::Int), ("n".into(), Ty::Int)],
        )
    }
}

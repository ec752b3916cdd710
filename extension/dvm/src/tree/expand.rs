//! Ways to build [`Relation::Expand`].

use super::column::{Column, ColumnType};
use super::expr::{Expr, Part};
use super::relation::{Predicate, Relation};

impl Relation {
    /// The rows of a FROM item beside each row of the input (`CROSS JOIN LATERAL`).
    pub fn expand(
        input: Relation,
        item: Vec<Part>,
        columns: Vec<Column>,
        key: Option<Vec<usize>>,
    ) -> Self {
        Relation::Expand {
            input: Box::new(input),
            item: Expr {
                parts: item,
                ty: rows(),
                nullable: false,
            },
            columns,
            key,
        }
    }

    /// Whether the rows are computed from nothing, or from rows around the tree, by operators that work
    /// row by row.
    pub fn is_computed(&self) -> bool {
        match self {
            Relation::SingleRow => true,
            Relation::Expand { input, .. }
            | Relation::Filter { input, .. }
            | Relation::Bounded { input, .. }
            | Relation::Conditioned { input, .. }
            | Relation::Project { input, .. } => input.is_computed(),
            _ => false,
        }
    }

    /// The computed rows beside each row of `left`, whose columns come first and may be read.
    pub fn beside(self, left: Relation) -> Self {
        match self {
            Relation::Project { input, columns } => {
                let passed = left.columns().into_iter().map(|column| {
                    let expr = Expr::of(&column);
                    (column, expr)
                });
                Relation::Project {
                    columns: passed.chain(columns).collect(),
                    input: Box::new(input.beside(left)),
                }
            }
            row_by_row @ (Relation::Expand { .. }
            | Relation::Filter { .. }
            | Relation::Bounded { .. }
            | Relation::Conditioned { .. }) => {
                row_by_row.map_inputs(&mut |input| input.beside(left.clone()))
            }
            // The only other relation that is computed.
            _ => left,
        }
    }

    /// Each row of the input as often as `count` says; not at all where it is zero or NULL.
    pub fn repeat(input: Relation, count: &Expr) -> Self {
        let mut item = vec![Part::Sql(
            "(SELECT FROM pg_catalog.generate_series(1, (".into(),
        )];
        item.extend(count.parts.iter().cloned());
        item.push(Part::Sql(")::bigint))".into()));
        Relation::expand(input, item, Vec::new(), None)
    }

    /// The same with NULLs where no row satisfies the conjuncts (`LEFT JOIN LATERAL … ON`).
    pub fn expand_left(
        input: Relation,
        item: Vec<Part>,
        columns: Vec<Column>,
        key: Option<Vec<usize>>,
        predicates: &[Predicate],
    ) -> Self {
        let name = |at: usize| format!("f.c{at}");
        let list = |name: &dyn Fn(usize) -> String| -> String {
            let names: Vec<String> = (0..columns.len()).map(name).collect();
            names.join(", ")
        };
        let aliases = match columns.len() {
            0 => String::new(),
            _ => format!("({})", list(&|at| format!("c{at}"))),
        };
        let mut parts = vec![Part::Sql(format!(
            "(SELECT {} FROM (SELECT) AS o LEFT JOIN LATERAL ",
            list(&name)
        ))];
        parts.extend(item);
        parts.push(Part::Sql(format!(" AS f{aliases} ON true")));
        for predicate in predicates {
            parts.push(Part::Sql(" AND (".into()));
            parts.extend(predicate.expr.parts.iter().map(|part| match part {
                Part::Column(id) => match columns.iter().position(|c| c.id == *id) {
                    Some(at) => Part::Sql(name(at)),
                    None => part.clone(),
                },
                Part::Sql(_) => part.clone(),
            }));
            parts.push(Part::Sql(")".into()));
        }
        parts.push(Part::Sql(")".into()));
        let columns = columns
            .into_iter()
            .map(|column| Column {
                nullable: true,
                ..column
            })
            .collect();
        Relation::expand(input, parts, columns, key)
    }
}

/// The type of an item's rows, which nothing looks at.
fn rows() -> ColumnType {
    ColumnType {
        sql: "record".into(),
        collation: None,
        equality: String::new(),
        image_equality: false,
        sortable: false,
        reads_back: false,
        hashable: false,
        bounded: false,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::tree::testing::{column, condition, expr, integer, scan};

    fn item(relation: &Relation) -> String {
        match relation {
            Relation::Expand { item, .. } => item.render(|id| format!("${}", id.0)),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_left_join_is_part_of_the_item() {
        let left = |conjuncts: &[Predicate]| {
            let columns = vec![column(21, "x", integer()), column(22, "n", integer())];
            let call = expr("unnest($11) WITH ORDINALITY").parts;
            Relation::expand_left(scan(1, 10, "r"), call, columns, Some(vec![1]), conjuncts)
        };
        assert_snapshot!(
            item(&left(&[])),
            @"(SELECT f.c0, f.c1 FROM (SELECT) AS o LEFT JOIN LATERAL unnest($11) WITH ORDINALITY AS f(c0, c1) ON true)"
        );
        assert_snapshot!(
            item(&left(&[condition("($22 > $12)")])),
            @"(SELECT f.c0, f.c1 FROM (SELECT) AS o LEFT JOIN LATERAL unnest($11) WITH ORDINALITY AS f(c0, c1) ON true AND ((f.c1 > $12)))"
        );
    }

    #[test]
    fn rows_are_repeated_without_columns() {
        assert_snapshot!(
            item(&Relation::repeat(scan(1, 10, "r"), &expr("($11 + 1)"))),
            @"(SELECT FROM pg_catalog.generate_series(1, (($11 + 1))::bigint))"
        );
    }
}

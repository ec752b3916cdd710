//! A tree as one plain query: nothing of it passes through plans or rules.

use crate::tree::{Expr, Predicate, Relation};

/// The query. Its columns are `v<identity>`.
pub fn query(relation: &Relation) -> String {
    match relation {
        Relation::Scan(scan) => {
            let mut items: Vec<String> = scan
                .columns
                .iter()
                .map(|c| format!("{} AS v{}", c.quoted, c.column.id.0))
                .collect();
            if items.is_empty() {
                items.push("1 AS one".into());
            }
            format!("SELECT {} FROM {}", items.join(", "), scan.relation)
        }
        Relation::SingleRow => "SELECT 1 AS one".into(),
        Relation::Filter { input, predicates } => {
            format!(
                "SELECT * FROM ({}) AS q WHERE {}",
                query(input),
                all(predicates)
            )
        }
        Relation::Project { input, columns } => {
            let items: Vec<String> = columns
                .iter()
                .map(|(column, expr)| format!("{} AS v{}", print(expr), column.id.0))
                .collect();
            format!("SELECT {} FROM ({}) AS q", items.join(", "), query(input))
        }
        Relation::Join {
            left,
            right,
            predicates,
        } => {
            let items: Vec<String> = relation
                .columns()
                .iter()
                .map(|c| format!("v{}", c.id.0))
                .collect();
            format!(
                "SELECT {} FROM ({}) AS l CROSS JOIN ({}) AS r WHERE {}",
                items.join(", "),
                query(left),
                query(right),
                all(predicates)
            )
        }
        Relation::UnionAll { columns, inputs } => {
            let arms: Vec<String> = inputs
                .iter()
                .map(|(input, exprs)| {
                    let items: Vec<String> = columns
                        .iter()
                        .zip(exprs)
                        .map(|(column, expr)| format!("{} AS v{}", print(expr), column.id.0))
                        .collect();
                    format!("SELECT {} FROM ({}) AS q", items.join(", "), query(input))
                })
                .collect();
            arms.join(" UNION ALL ")
        }
        Relation::Aggregate {
            input,
            keys,
            aggregates,
        } => {
            let computed: Vec<String> = keys
                .iter()
                .map(|(column, expr)| format!(", {} AS v{}", print(expr), column.id.0))
                .collect();
            let names: Vec<String> = keys.iter().map(|(c, _)| format!("v{}", c.id.0)).collect();
            let items: Vec<String> = names
                .iter()
                .cloned()
                .chain(
                    aggregates
                        .iter()
                        .map(|a| format!("{} AS v{}", print(&a.call), a.column.id.0)),
                )
                .collect();
            let mut sql = format!(
                "SELECT {} FROM (SELECT *{} FROM ({}) AS q) AS q",
                items.join(", "),
                computed.concat(),
                query(input)
            );
            if !names.is_empty() {
                sql.push_str(&format!(" GROUP BY {}", names.join(", ")));
            }
            sql
        }
        Relation::Distinct { input } => format!("SELECT DISTINCT * FROM ({}) AS q", query(input)),
    }
}

fn print(expr: &Expr) -> String {
    expr.render(|id| format!("v{}", id.0))
}

fn all(predicates: &[Predicate]) -> String {
    if predicates.is_empty() {
        return "true".into();
    }
    let parts: Vec<String> = predicates
        .iter()
        .map(|p| format!("({})", print(&p.expr)))
        .collect();
    parts.join(" AND ")
}

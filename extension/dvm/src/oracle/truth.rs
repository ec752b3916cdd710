//! A tree as one plain query: nothing of it passes through plans or rules.

use crate::tree::{ApplyKind, Column, Expr, Predicate, Relation};

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
        Relation::Opaque(opaque) => {
            let names: Vec<String> = (opaque.columns.iter())
                .map(|c| format!("v{}", c.id.0))
                .collect();
            format!(
                "SELECT * FROM (WITH q({}) AS ({}) SELECT * FROM q) AS q",
                names.join(", "),
                opaque.query
            )
        }
        Relation::Bounded {
            input,
            value,
            operator,
            bound,
            ..
        } => format!(
            "SELECT * FROM ({}) AS q WHERE ({}) {operator} ({})",
            query(input),
            print(value),
            bound.query
        ),
        Relation::Expand {
            input,
            item,
            columns,
            ..
        } => {
            let alias = columns.first().map_or(0, |c| c.id.0);
            let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
            let items: Vec<String> = columns
                .iter()
                .zip(&names)
                .map(|(column, name)| format!(", e{alias}.{name} AS v{}", column.id.0))
                .collect();
            format!(
                "SELECT q.*{} FROM ({}) AS q, LATERAL {} AS e{alias}({})",
                items.concat(),
                query(input),
                print(item),
                names.join(", ")
            )
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
        Relation::LeftJoin {
            left,
            right,
            predicates,
            present,
        } => {
            let mark = present.as_ref().map_or_else(String::new, |column| {
                format!(", present IS NOT NULL AS v{}", column.id.0)
            });
            let items: Vec<String> = left
                .columns()
                .iter()
                .chain(&right.columns())
                .map(|c| format!("v{}", c.id.0))
                .collect();
            format!(
                "SELECT {}{mark} FROM ({}) AS l LEFT JOIN (SELECT *, 1 AS present FROM ({}) AS r) AS r ON {}",
                items.join(", "),
                query(left),
                query(right),
                all(predicates)
            )
        }
        Relation::FullJoin {
            left,
            right,
            predicates,
        } => {
            let columns = relation.columns();
            let items: Vec<String> = columns.iter().map(|c| format!("v{}", c.id.0)).collect();
            format!(
                "SELECT {} FROM ({}) AS l FULL JOIN ({}) AS r ON {}",
                items.join(", "),
                query(left),
                query(right),
                all(predicates)
            )
        }
        Relation::Apply {
            input,
            subquery,
            kind,
        } => apply(input, subquery, kind),
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
        Relation::Window {
            input,
            partition,
            calls,
        } => {
            let by: Vec<String> = partition.iter().map(|id| format!("v{}", id.0)).collect();
            let items: Vec<String> = calls
                .iter()
                .map(|call| format!(", {} AS v{}", call.render(&by, print), call.column.id.0))
                .collect();
            format!("SELECT *{} FROM ({}) AS q", items.concat(), query(input))
        }
        Relation::TopN {
            input,
            partition,
            order,
            offset,
            limit,
            with_ties,
        } => {
            let by: Vec<String> = partition.iter().map(|id| format!("v{}", id.0)).collect();
            let columns: Vec<String> = input
                .columns()
                .iter()
                .map(|c| format!("v{}", c.id.0))
                .collect();
            let order: Vec<String> = order.iter().map(|key| key.render(print)).collect();
            let mut over = String::new();
            if !by.is_empty() {
                over = format!("PARTITION BY {} ", by.join(", "));
            }
            if !order.is_empty() {
                over.push_str(&format!("ORDER BY {}", order.join(", ")));
            }
            let last = if *with_ties { "nth_peer" } else { "nth" };
            let end = limit.map_or_else(String::new, |limit| {
                format!(" AND {last} <= {}", offset.saturating_add(limit))
            });
            format!(
                "SELECT {} FROM (SELECT *, row_number() OVER ({over}) AS nth, rank() OVER ({over}) \
                 AS nth_peer FROM ({}) AS q) AS q WHERE nth > {offset}{end}",
                columns.join(", "),
                query(input)
            )
        }
    }
}

/// A dependent join, with the subquery where SQL has it. SQLite knows no LATERAL, so that those two kinds
/// need a PostgreSQL server.
fn apply(input: &Relation, subquery: &Relation, kind: &ApplyKind) -> String {
    let items: Vec<String> = input
        .columns()
        .iter()
        .map(|c| format!("v{}", c.id.0))
        .collect();
    let (outer, inner) = (query(input), query(subquery));
    let with = |value: String, column: &Column| {
        let comma = if items.is_empty() { "" } else { ", " };
        format!(
            "SELECT {}{comma}({value}) AS v{} FROM ({outer}) AS q",
            items.join(", "),
            column.id.0
        )
    };
    match kind {
        ApplyKind::Exists { present } => with(format!("EXISTS ({inner})"), present),
        ApplyKind::Scalar { value } => with(inner, value),
        ApplyKind::Any { tests, result } => {
            let test = all(tests);
            with(
                format!(
                    "CASE WHEN EXISTS (SELECT 1 FROM ({inner}) AS s WHERE {test}) THEN true \
                     WHEN EXISTS (SELECT 1 FROM ({inner}) AS s WHERE ({test}) IS NULL) THEN NULL \
                     ELSE false END"
                ),
                result,
            )
        }
        ApplyKind::Cross => {
            format!("SELECT * FROM ({outer}) AS q CROSS JOIN LATERAL ({inner}) AS s")
        }
        ApplyKind::Left { predicates } => format!(
            "SELECT * FROM ({outer}) AS q LEFT JOIN LATERAL ({inner}) AS s ON {}",
            all(predicates)
        ),
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

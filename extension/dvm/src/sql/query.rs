//! A relation as the text of a query, for the plain operators: what a node is told to compute, and what is read again
//! when a stream table over images is recomputed.

use crate::tree::{Column, Expr, Relation};

/// The query, with the output columns named as given. `None` where an operator has no plain text.
pub fn query_text(relation: &Relation, names: &[String]) -> Option<String> {
    let columns = relation.columns();
    let shown = columns.iter().zip(names);
    let shown: Vec<_> = shown
        .map(|(column, name)| format!("t.{} AS {name}", name_of(column)))
        .collect();
    let input = select(relation)?;
    Some(format!("SELECT {} FROM ({input}) AS t", shown.join(", ")))
}

fn name_of(column: &Column) -> String {
    format!("x{}", column.id.0)
}

fn render(expr: &Expr) -> String {
    expr.render(|id| format!("x{}", id.0))
}

fn shown(expr: String, column: &Column) -> String {
    format!("{expr} AS {}", name_of(column))
}

/// The query, with each column named by its identity.
fn select(relation: &Relation) -> Option<String> {
    let all = || {
        let columns = relation.columns();
        let names: Vec<_> = columns.iter().map(name_of).collect();
        names.join(", ")
    };
    let both = |left: &Relation, kind: &str, right: &Relation, on: Vec<String>| {
        let (left, right) = (select(left)?, select(right)?);
        let on = match on.is_empty() {
            true => "true".to_owned(),
            false => on.join(" AND "),
        };
        let list = all();
        Some(format!(
            "SELECT {list} FROM ({left}) AS l {kind} ({right}) AS r ON {on}"
        ))
    };
    let conditions = |predicates: &[crate::tree::Predicate]| {
        let rendered = predicates.iter();
        rendered
            .map(|predicate| format!("({})", render(&predicate.expr)))
            .collect::<Vec<_>>()
    };
    match relation {
        Relation::Scan(scan) => {
            let columns = scan.columns.iter();
            let columns = columns.map(|c| shown(c.quoted.clone(), &c.column));
            let list = columns.collect::<Vec<_>>().join(", ");
            Some(format!("SELECT {list} FROM {}", scan.relation))
        }
        Relation::SingleRow => Some("SELECT".to_owned()),
        Relation::Filter { input, predicates } => {
            let conditions = conditions(predicates).join(" AND ");
            let (list, input) = (all(), select(input)?);
            Some(format!(
                "SELECT {list} FROM ({input}) AS t WHERE {conditions}"
            ))
        }
        Relation::Project { input, columns } => {
            let columns = columns.iter();
            let columns = columns.map(|(column, expr)| shown(render(expr), column));
            let list = columns.collect::<Vec<_>>().join(", ");
            Some(format!("SELECT {list} FROM ({}) AS t", select(input)?))
        }
        Relation::Join {
            left,
            right,
            predicates,
        } => both(left, "JOIN", right, conditions(predicates)),
        Relation::LeftJoin {
            left,
            right,
            predicates,
            present: None,
        } => both(left, "LEFT JOIN", right, conditions(predicates)),
        Relation::FullJoin {
            left,
            right,
            predicates,
        } => both(left, "FULL JOIN", right, conditions(predicates)),
        Relation::Aggregate {
            input,
            keys,
            aggregates,
        } => {
            let keyed = keys
                .iter()
                .map(|(column, expr)| shown(render(expr), column));
            let called = aggregates.iter().map(|a| shown(render(&a.call), &a.column));
            let list = keyed.chain(called).collect::<Vec<_>>().join(", ");
            let input = select(input)?;
            // By position, so that a constant is none.
            let positions: Vec<_> = (1..=keys.len()).map(|at| at.to_string()).collect();
            let group = match positions.is_empty() {
                true => String::new(),
                false => format!(" GROUP BY {}", positions.join(", ")),
            };
            Some(format!("SELECT {list} FROM ({input}) AS t{group}"))
        }
        Relation::Distinct { input } => Some(format!(
            "SELECT DISTINCT {} FROM ({}) AS t",
            all(),
            select(input)?
        )),
        Relation::UnionAll { columns, inputs } => {
            let arms = inputs.iter().map(|(input, exprs)| {
                let list = columns.iter().zip(exprs);
                let list = list.map(|(column, expr)| shown(render(expr), column));
                let list = list.collect::<Vec<_>>().join(", ");
                Some(format!("SELECT {list} FROM ({}) AS t", select(input)?))
            });
            Some(arms.collect::<Option<Vec<_>>>()?.join(" UNION ALL "))
        }
        Relation::TopN {
            input,
            partition,
            order,
            offset,
            limit,
            with_ties,
        } if partition.is_empty() => {
            let keys = order.iter();
            let keys = keys.map(|key| format!("({}) {}", render(&key.expr), key.direction));
            let order = keys.collect::<Vec<_>>().join(", ");
            let order = match order.is_empty() {
                true => String::new(),
                false => format!(" ORDER BY {order}"),
            };
            let ties = if *with_ties { "WITH TIES" } else { "ONLY" };
            let limit = limit.map(|limit| format!(" FETCH FIRST {limit} ROWS {ties}"));
            let (list, input, limit) = (all(), select(input)?, limit.unwrap_or_default());
            Some(format!(
                "SELECT {list} FROM ({input}) AS t{order} OFFSET {offset}{limit}"
            ))
        }
        Relation::LeftJoin { .. }
        | Relation::TopN { .. }
        | Relation::Opaque(_)
        | Relation::Bounded { .. }
        | Relation::Expand { .. }
        | Relation::Apply { .. }
        | Relation::Window { .. } => None,
    }
}

//! A relation of plain operators as the text of a query: for nodes to compute, and for recomputing a stream table
//! over images.

use crate::tree::{Aggregate, Column, Expr, Predicate, Relation, SortKey};

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

/// The query, with each column named by its identity.
fn select(relation: &Relation) -> Option<String> {
    let list = || names_of(&relation.columns());
    let both = |left: &Relation, kind: &str, right: &Relation, predicates: &[Predicate]| {
        let (list, left, right) = (list(), select(left)?, select(right)?);
        let on = match predicates.is_empty() {
            true => "true".to_owned(),
            false => all(predicates),
        };
        Some(format!(
            "SELECT {list} FROM ({left}) AS l {kind} ({right}) AS r ON {on}"
        ))
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
            let (list, input, conditions) = (list(), select(input)?, all(predicates));
            Some(format!(
                "SELECT {list} FROM ({input}) AS t WHERE {conditions}"
            ))
        }
        Relation::Project { input, columns } => {
            projected(input, columns.iter().map(|(column, expr)| (column, expr)))
        }
        Relation::Join {
            left,
            right,
            predicates,
        } => both(left, "JOIN", right, predicates),
        Relation::LeftJoin {
            left,
            right,
            predicates,
            present: None,
        } => both(left, "LEFT JOIN", right, predicates),
        Relation::FullJoin {
            left,
            right,
            predicates,
        } => both(left, "FULL JOIN", right, predicates),
        Relation::Aggregate {
            input,
            keys,
            aggregates,
        } => grouped(input, keys, aggregates),
        Relation::Distinct { input } => {
            let (list, input) = (list(), select(input)?);
            Some(format!("SELECT DISTINCT {list} FROM ({input}) AS t"))
        }
        Relation::UnionAll { columns, inputs } => {
            let arms = inputs.iter();
            let arms = arms.map(|(input, exprs)| projected(input, columns.iter().zip(exprs)));
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
            let (list, input, order) = (list(), select(input)?, ordered(order));
            let ties = if *with_ties { "WITH TIES" } else { "ONLY" };
            let limit = limit.map(|limit| format!(" FETCH FIRST {limit} ROWS {ties}"));
            let limit = limit.unwrap_or_default();
            Some(format!(
                "SELECT {list} FROM ({input}) AS t{order} OFFSET {offset}{limit}"
            ))
        }
        Relation::LeftJoin { .. }
        | Relation::TopN { .. }
        | Relation::Opaque(_)
        | Relation::Bounded { .. }
        | Relation::Conditioned { .. }
        | Relation::Expand { .. }
        | Relation::Apply { .. }
        | Relation::Window { .. } => None,
    }
}

fn projected<'a>(
    input: &Relation,
    columns: impl Iterator<Item = (&'a Column, &'a Expr)>,
) -> Option<String> {
    let columns: Vec<_> = columns
        .map(|(column, expr)| shown(render(expr), column))
        .collect();
    let (list, input) = (columns.join(", "), select(input)?);
    Some(format!("SELECT {list} FROM ({input}) AS t"))
}

fn grouped(input: &Relation, keys: &[(Column, Expr)], aggregates: &[Aggregate]) -> Option<String> {
    let keyed = keys.iter();
    let keyed = keyed.map(|(column, expr)| shown(render(expr), column));
    let computed = |id| keys.iter().find(|(key, _)| key.id == id).map(|(_, e)| e);
    let called =
        (aggregates.iter()).map(|a| shown(render(&a.call.substitute(computed)), &a.column));
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

fn ordered(order: &[SortKey]) -> String {
    let keys = order.iter();
    let keys = keys.map(|key| format!("({}) {}", render(&key.expr), key.direction));
    let keys = keys.collect::<Vec<_>>().join(", ");
    match keys.is_empty() {
        true => keys,
        false => format!(" ORDER BY {keys}"),
    }
}

fn name_of(column: &Column) -> String {
    format!("x{}", column.id.0)
}

fn names_of(columns: &[Column]) -> String {
    let names: Vec<_> = columns.iter().map(name_of).collect();
    names.join(", ")
}

fn shown(expr: String, column: &Column) -> String {
    format!("{expr} AS {}", name_of(column))
}

fn render(expr: &Expr) -> String {
    expr.render(|id| format!("x{}", id.0))
}

fn all(predicates: &[Predicate]) -> String {
    let conditions = predicates.iter();
    let conditions = conditions.map(|predicate| format!("({})", render(&predicate.expr)));
    conditions.collect::<Vec<_>>().join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::AggregateKind;
    use crate::tree::testing::{aggregate, group, scan};

    #[test]
    fn a_direct_argument_is_written_as_the_key_is_computed() {
        let call = "rank($21) WITHIN GROUP (ORDER BY $12)";
        let calls = vec![aggregate(22, AggregateKind::Recompute, call)];
        let grouped = group(scan(1, 10, "r"), &[(21, "g", "($11 / 4)")], calls);
        let text = query_text(&grouped, &["g".into(), "r".into()]);
        let text = text.expect("plain");
        assert!(
            text.contains("rank(((x11 / 4))) WITHIN GROUP (ORDER BY x12)"),
            "{text}"
        );
    }
}

//! A tree as one plain query: nothing of it passes through plans or rules.

use crate::tree::{Aggregate, ApplyKind, Column, ColumnId, Expr, Predicate, Relation, SortKey};

/// The query. Its columns are `v<identity>`.
pub fn query(relation: &Relation) -> String {
    match relation {
        Relation::Scan(scan) => {
            let columns = scan.columns.iter();
            let mut items: Vec<_> = columns.map(|c| shown(&c.quoted, &c.column)).collect();
            if items.is_empty() {
                items.push("1 AS one".into());
            }
            format!("SELECT {} FROM {}", items.join(", "), scan.relation)
        }
        Relation::SingleRow => "SELECT 1 AS one".into(),
        Relation::Filter { input, predicates } => {
            let (input, conditions) = (query(input), all(predicates));
            format!("SELECT * FROM ({input}) AS q WHERE {conditions}")
        }
        Relation::Project { input, columns } => {
            projected(input, columns.iter().map(|(column, expr)| (column, expr)))
        }
        Relation::Opaque(opaque) => format!(
            "SELECT * FROM (WITH q({}) AS ({}) SELECT * FROM q) AS q",
            names(&opaque.columns),
            opaque.query
        ),
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
        Relation::Conditioned { input, condition } => {
            let bound = &condition.bound;
            let of_bound = |id: ColumnId| bound.columns.iter().any(|c| c.id == id);
            let compared = condition.expr.render(|id| match of_bound(id) {
                true => format!("({})", bound.query),
                false => name(id),
            });
            let shown = shown(&compared, &condition.column);
            format!("SELECT *, {shown} FROM ({}) AS q", query(input))
        }
        Relation::Expand {
            input,
            item,
            columns,
            ..
        } => expanded(input, item, columns),
        Relation::Join {
            left,
            right,
            predicates,
        } => format!(
            "SELECT {} FROM ({}) AS l CROSS JOIN ({}) AS r WHERE {}",
            names(&relation.columns()),
            query(left),
            query(right),
            all(predicates)
        ),
        Relation::LeftJoin {
            left,
            right,
            predicates,
            present,
        } => left_joined(left, right, predicates, present.as_ref()),
        Relation::FullJoin {
            left,
            right,
            predicates,
        } => format!(
            "SELECT {} FROM ({}) AS l FULL JOIN ({}) AS r ON {}",
            names(&relation.columns()),
            query(left),
            query(right),
            all(predicates)
        ),
        Relation::Apply {
            input,
            subquery,
            kind,
        } => apply(input, subquery, kind),
        Relation::UnionAll { columns, inputs } => {
            let arms = inputs.iter();
            let arms = arms.map(|(input, exprs)| projected(input, columns.iter().zip(exprs)));
            arms.collect::<Vec<_>>().join(" UNION ALL ")
        }
        Relation::Aggregate {
            input,
            keys,
            aggregates,
        } => grouped(input, keys, aggregates),
        Relation::Distinct { input } => format!("SELECT DISTINCT * FROM ({}) AS q", query(input)),
        Relation::Window {
            input,
            partition,
            calls,
        } => {
            let by: Vec<String> = partition.iter().map(|id| name(*id)).collect();
            let items = calls.iter();
            let items =
                items.map(|call| format!(", {}", shown(&call.render(&by, print), &call.column)));
            let items: String = items.collect();
            format!("SELECT *{items} FROM ({}) AS q", query(input))
        }
        Relation::TopN {
            input,
            partition,
            order,
            offset,
            limit,
            with_ties,
        } => {
            let last = if *with_ties { "nth_peer" } else { "nth" };
            let end = limit.map_or_else(String::new, |limit| {
                format!(" AND {last} <= {}", offset.saturating_add(limit))
            });
            let (numbered, names) = (numbered(input, partition, order), names(&input.columns()));
            format!("SELECT {names} FROM ({numbered}) AS q WHERE nth > {offset}{end}")
        }
    }
}

fn projected<'a>(
    input: &Relation,
    columns: impl Iterator<Item = (&'a Column, &'a Expr)>,
) -> String {
    let items: Vec<_> = columns
        .map(|(column, expr)| shown(&print(expr), column))
        .collect();
    format!("SELECT {} FROM ({}) AS q", items.join(", "), query(input))
}

fn expanded(input: &Relation, item: &Expr, columns: &[Column]) -> String {
    let alias = columns.first().map_or(0, |c| c.id.0);
    let inner: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let items = columns.iter().zip(&inner);
    let items = items.map(|(column, inner)| format!(", e{alias}.{inner} AS {}", name(column.id)));
    format!(
        "SELECT q.*{} FROM ({}) AS q, LATERAL {} AS e{alias}({})",
        items.collect::<String>(),
        query(input),
        print(item),
        inner.join(", ")
    )
}

fn left_joined(
    left: &Relation,
    right: &Relation,
    predicates: &[Predicate],
    present: Option<&Column>,
) -> String {
    let mark = present.map_or_else(String::new, |column| {
        format!(", {}", shown("present IS NOT NULL", column))
    });
    let columns: Vec<Column> = left.columns().into_iter().chain(right.columns()).collect();
    format!(
        "SELECT {}{mark} FROM ({}) AS l LEFT JOIN (SELECT *, 1 AS present FROM ({}) AS r) AS r ON {}",
        names(&columns),
        query(left),
        query(right),
        all(predicates)
    )
}

fn grouped(input: &Relation, keys: &[(Column, Expr)], aggregates: &[Aggregate]) -> String {
    let computed = keys.iter();
    let computed = computed.map(|(column, expr)| format!(", {}", shown(&print(expr), column)));
    let by: Vec<String> = keys.iter().map(|(column, _)| name(column.id)).collect();
    let called = aggregates.iter().map(|a| shown(&print(&a.call), &a.column));
    let items: Vec<String> = by.iter().cloned().chain(called).collect();
    let sql = format!(
        "SELECT {} FROM (SELECT *{} FROM ({}) AS q) AS q",
        items.join(", "),
        computed.collect::<String>(),
        query(input)
    );
    match by.is_empty() {
        true => sql,
        false => format!("{sql} GROUP BY {}", by.join(", ")),
    }
}

/// The rows with their number and that of their first peer, in the order of their partition.
fn numbered(input: &Relation, partition: &[ColumnId], order: &[SortKey]) -> String {
    let by: Vec<String> = partition.iter().map(|id| name(*id)).collect();
    let order: Vec<String> = order.iter().map(|key| key.render(print)).collect();
    let mut over = String::new();
    if !by.is_empty() {
        over = format!("PARTITION BY {} ", by.join(", "));
    }
    if !order.is_empty() {
        over.push_str(&format!("ORDER BY {}", order.join(", ")));
    }
    format!(
        "SELECT *, row_number() OVER ({over}) AS nth, rank() OVER ({over}) AS nth_peer FROM ({}) AS q",
        query(input)
    )
}

/// A dependent join, with the subquery where SQL has it. SQLite knows no LATERAL, so that those two kinds
/// need a PostgreSQL server.
fn apply(input: &Relation, subquery: &Relation, kind: &ApplyKind) -> String {
    let items = names(&input.columns());
    let (outer, inner) = (query(input), query(subquery));
    let with = |value: String, column: &Column| {
        let comma = if items.is_empty() { "" } else { ", " };
        let value = shown(&format!("({value})"), column);
        format!("SELECT {items}{comma}{value} FROM ({outer}) AS q")
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

fn name(id: ColumnId) -> String {
    format!("v{}", id.0)
}

fn names(columns: &[Column]) -> String {
    let names: Vec<String> = columns.iter().map(|column| name(column.id)).collect();
    names.join(", ")
}

fn shown(value: &str, column: &Column) -> String {
    format!("{value} AS {}", name(column.id))
}

fn print(expr: &Expr) -> String {
    expr.render(name)
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

//! Trees for tests. Columns are numbered by the test itself, so that expressions can be written as
//! the server prints them: `$11 + $12`. By convention table `t` has columns 10·t + attnum.

use super::{
    Aggregate, AggregateKind, Column, ColumnId, ColumnType, Condition, Crossing, Expr, Index,
    Opaque, OpaqueSource, Predicate, Relation, Scan, ScanColumn, Side, SortKey, Visible,
};

/// `integer`.
pub fn integer() -> ColumnType {
    ColumnType {
        sql: "integer".into(),
        collation: None,
        equality: "=".into(),
        image_equality: true,
        sortable: true,
        reads_back: false,
        hashable: true,
        bounded: true,
    }
}

/// `boolean`.
pub fn boolean() -> ColumnType {
    ColumnType {
        sql: "boolean".into(),
        ..integer()
    }
}

/// `numeric` without a fixed scale: equal values may have different images.
pub fn numeric() -> ColumnType {
    ColumnType {
        sql: "numeric".into(),
        image_equality: false,
        ..integer()
    }
}

/// A nullable column.
pub fn column(id: u32, name: &str, ty: ColumnType) -> Column {
    Column {
        id: ColumnId(id),
        name: name.into(),
        ty,
        nullable: true,
    }
}

/// A scan of a table whose columns have these types, with identities from `base + 1` on.
pub fn scan_of(oid: u32, base: u32, name: &str, columns: &[(&str, ColumnType)]) -> Scan {
    Scan {
        oid,
        relation: name.into(),
        columns: columns
            .iter()
            .zip(1_i16..)
            .map(|((name, ty), attnum)| ScanColumn {
                column: column(base + attnum.unsigned_abs() as u32, name, ty.clone()),
                attnum,
                quoted: (*name).into(),
            })
            .collect(),
        indexes: Vec::new(),
        visible: Visible::default(),
    }
}

/// A table of three integer columns `a`, `b`, `c`, numbered from `base + 1` on.
pub fn scan(oid: u32, base: u32, name: &str) -> Relation {
    Relation::Scan(scan_of(
        oid,
        base,
        name,
        &[("a", integer()), ("b", integer()), ("c", integer())],
    ))
}

/// The same with the first column as primary key.
pub fn keyed_scan(oid: u32, base: u32, name: &str) -> Relation {
    let Relation::Scan(mut scan) = scan(oid, base, name) else {
        unreachable!("a scan is a scan");
    };
    scan.columns[0].column.nullable = false;
    scan.indexes = vec![Index {
        attnums: vec![Some(1)],
        identifies_row: true,
    }];
    Relation::Scan(scan)
}

/// A nullable integer expression.
pub fn expr(text: &str) -> Expr {
    Expr::from_printed(text, integer(), true)
}

/// A condition.
pub fn condition(text: &str) -> Predicate {
    Predicate::of(Expr::from_printed(text, boolean(), true))
}

/// A default equality.
pub fn equal(left: &str, right: &str) -> Predicate {
    Predicate {
        equality: Some((expr(left), expr(right))),
        ..condition(&format!("({left} = {right})"))
    }
}

/// Inner join.
pub fn join(left: Relation, right: Relation, predicates: Vec<Predicate>) -> Relation {
    left.joined(right, predicates)
}

/// Left outer join.
pub fn left_join(left: Relation, right: Relation, predicates: Vec<Predicate>) -> Relation {
    left.left_joined(right, predicates, None)
}

/// Full outer join.
pub fn full_join(left: Relation, right: Relation, predicates: Vec<Predicate>) -> Relation {
    Relation::FullJoin {
        left: Box::new(left),
        right: Box::new(right),
        predicates,
    }
}

/// WHERE or HAVING.
pub fn filter(input: Relation, predicates: Vec<Predicate>) -> Relation {
    Relation::Filter {
        input: Box::new(input),
        predicates,
    }
}

/// SELECT list: identity, name and integer expression of each column.
pub fn project(input: Relation, columns: &[(u32, &str, &str)]) -> Relation {
    let columns = columns.iter();
    let columns = columns.map(|(id, name, text)| (column(*id, name, integer()), expr(text)));
    input.projected(columns.collect())
}

/// Rows computed from each input row: what stands in FROM, identity and name of its integer columns.
pub fn expand(input: Relation, item: &str, columns: &[(u32, &str)]) -> Relation {
    let columns = columns
        .iter()
        .map(|(id, name)| column(*id, name, integer()))
        .collect();
    Relation::expand(input, expr(item).parts, columns, None)
}

/// A subquery of integer columns that is computed whole: its text, and the tables that it reads.
pub fn opaque(query: &str, columns: &[(u32, &str)], sources: &[u32]) -> Opaque {
    Opaque {
        query: query.into(),
        columns: columns
            .iter()
            .map(|(id, name)| column(*id, name, integer()))
            .collect(),
        sources: sources
            .iter()
            .map(|oid| OpaqueSource {
                oid: *oid,
                attnums: vec![1, 2, 3],
            })
            .collect(),
        polled: false,
        recursion: None,
    }
}

/// Rows whose value lies on one side of a bound.
pub fn bounded(input: Relation, value: &str, operator: &str, bound: Opaque) -> Relation {
    Relation::Bounded {
        input: Box::new(input),
        value: expr(value),
        operator: operator.into(),
        side: match operator.starts_with('>') {
            true => Side::Above,
            false => Side::Below,
        },
        bound: Box::new(bound),
    }
}

/// Rows with a condition on the column of a bound, and the value by which those are found for which it changes.
pub fn conditioned(
    input: Relation,
    column: (u32, &str),
    condition: &str,
    found_by: Option<(&str, Crossing)>,
    bound: Opaque,
) -> Relation {
    Relation::Conditioned {
        input: Box::new(input),
        condition: Box::new(Condition {
            column: self::column(column.0, column.1, boolean()),
            expr: expr(condition),
            found_by: found_by.map(|(value, crossing)| (expr(value), crossing)),
            bound,
        }),
    }
}

/// UNION ALL of inputs with one integer expression per output column.
pub fn union_all(columns: &[(u32, &str)], inputs: Vec<(Relation, Vec<&str>)>) -> Relation {
    Relation::UnionAll {
        columns: columns
            .iter()
            .map(|(id, name)| column(*id, name, integer()))
            .collect(),
        inputs: inputs
            .into_iter()
            .map(|(input, exprs)| (input, exprs.into_iter().map(expr).collect()))
            .collect(),
    }
}

/// DISTINCT.
pub fn distinct(input: Relation) -> Relation {
    input.distinct()
}

/// One key of an ORDER BY, over an integer expression.
pub fn sort_key(text: &str, direction: &str) -> SortKey {
    SortKey {
        expr: expr(text),
        direction: direction.into(),
        is_default_order: true,
    }
}

/// LIMIT per partition.
pub fn first_rows(
    input: Relation,
    partition: &[ColumnId],
    order: Vec<SortKey>,
    offset: u64,
    limit: Option<u64>,
    with_ties: bool,
) -> Relation {
    Relation::TopN {
        input: Box::new(input),
        partition: partition.to_vec(),
        order,
        offset,
        limit,
        with_ties,
    }
}

/// GROUP BY: identity, name and integer expression of each key.
pub fn group(input: Relation, keys: &[(u32, &str, &str)], aggregates: Vec<Aggregate>) -> Relation {
    let keys = keys.iter();
    let keys = keys.map(|(id, name, text)| (column(*id, name, integer()), expr(text)));
    input.grouped(keys.collect(), aggregates)
}

/// An aggregate over an integer (or, for the boolean ones, a boolean) expression; no argument is
/// `count(*)`. One that is always recomputed is the range of the values.
pub fn aggregate(id: u32, kind: AggregateKind, argument: &str) -> Aggregate {
    let function = function_of(kind);
    let is_boolean = matches!(kind, AggregateKind::BoolAnd | AggregateKind::BoolOr);
    let mut ty = integer();
    if is_boolean {
        ty = boolean();
    }
    let shown = if argument.is_empty() { "*" } else { argument };
    let call = match kind {
        AggregateKind::Recompute => format!("(max({shown}) - min({shown}))"),
        _ => format!("{function}({shown})"),
    };
    let result = match kind {
        AggregateKind::BoolAnd | AggregateKind::BoolOr => boolean(),
        AggregateKind::AvgInteger
        | AggregateKind::SumNumeric { .. }
        | AggregateKind::AvgNumeric { .. } => numeric(),
        _ => integer(),
    };
    Aggregate {
        column: column(id, function, result),
        kind,
        call: expr(&call),
        argument: (!argument.is_empty()).then(|| Expr::from_printed(argument, ty, true)),
        filter: None,
        distinct: false,
    }
}

/// The aggregate with a FILTER.
pub fn filtered(aggregate: Aggregate, filter: &str) -> Aggregate {
    let call = aggregate.call.render(|id| format!("${}", id.0));
    Aggregate {
        call: expr(&format!("{call} FILTER (WHERE {filter})")),
        filter: Some(Expr::from_printed(filter, boolean(), true)),
        ..aggregate
    }
}

/// The aggregate with DISTINCT.
pub fn of_distinct(aggregate: Aggregate) -> Aggregate {
    let call = aggregate.call.render(|id| format!("${}", id.0));
    Aggregate {
        call: expr(&call.replacen('(', "(DISTINCT ", 1)),
        distinct: true,
        ..aggregate
    }
}

fn function_of(kind: AggregateKind) -> &'static str {
    match kind {
        AggregateKind::CountStar | AggregateKind::Count => "count",
        AggregateKind::SumInteger | AggregateKind::SumNumeric { .. } => "sum",
        AggregateKind::AvgInteger | AggregateKind::AvgNumeric { .. } => "avg",
        AggregateKind::Min => "min",
        AggregateKind::Max => "max",
        AggregateKind::BoolAnd => "bool_and",
        AggregateKind::BoolOr => "bool_or",
        AggregateKind::Recompute => "range",
    }
}

//! DISTINCT aggregates become plain aggregates over a DISTINCT input.
//!
//! ```text
//! γ g; a(x), b(DISTINCT y) (R)
//!   = γ g; a(x) FILTER tag=0, b(y) FILTER tag=1 (π 0,g,x,NULL (R) ⊎ π 1,g,NULL,y (δ π g,y (R)))
//! ```
//! A FILTER of the DISTINCT aggregate moves below δ. Every tag-1 row has a tag-0 row of its group,
//! so groups are born and die with R. The state of δ holds each (g, y) with its multiplicity: a
//! change costs O(|Δ|), not the size of the group.
//!
//! Left alone where the touched groups are computed again anyway (see
//! [`crate::operators::aggregate`]), because there the server's own DISTINCT is simplest.

use crate::tree::recomputes_always;
use crate::tree::{Aggregate, Column, ColumnId, ColumnType, Expr, Part, Predicate, Relation};

use super::ColumnAllocator;

/// Applies the rule to the top of `relation`.
pub(super) fn unnest(relation: Relation, columns: &mut ColumnAllocator) -> Relation {
    match relation {
        Relation::Aggregate {
            input,
            keys,
            aggregates,
        } if applies(&keys, &aggregates) => rewrite(*input, keys, aggregates, columns),
        other => other,
    }
}

fn applies(keys: &[(Column, Expr)], aggregates: &[Aggregate]) -> bool {
    aggregates.iter().any(|a| a.distinct)
        && !recomputes_always(keys.iter().map(|(column, _)| column), aggregates)
        && aggregates
            .iter()
            .filter(|a| a.distinct)
            .all(|a| a.argument.as_ref().is_some_and(|x| x.ty.sortable))
}

/// `tag = n`, and `filter` where there is one.
fn tagged(tag: &Column, n: usize, filter: Option<&Expr>) -> Expr {
    let mut parts = vec![
        Part::Column(tag.id),
        Part::Sql(format!(" OPERATOR(pg_catalog.=) {n}")),
    ];
    if let Some(filter) = filter {
        parts.push(Part::Sql(" AND (".into()));
        parts.extend(filter.parts.iter().cloned());
        parts.push(Part::Sql(")".into()));
    }
    Expr {
        parts,
        ty: ColumnType::boolean(),
        nullable: true,
    }
}

fn rewrite(
    input: Relation,
    keys: Vec<(Column, Expr)>,
    aggregates: Vec<Aggregate>,
    columns: &mut ColumnAllocator,
) -> Relation {
    let tag = columns.column("tag", ColumnType::integer(), false);
    let group: Vec<Column> = keys
        .iter()
        .map(|(key, _)| columns.column(key.name.clone(), key.ty.clone(), key.nullable))
        .collect();

    // What the plain aggregates read, carried through under new identities.
    let input_columns = input.columns();
    let plain_reads: Vec<ColumnId> = aggregates
        .iter()
        .filter(|a| !a.distinct)
        .flat_map(|a| [&a.argument, &a.filter])
        .flatten()
        .flat_map(Expr::columns)
        .collect();
    let carried: Vec<(Column, Column)> = input_columns
        .iter()
        .filter(|c| plain_reads.contains(&c.id))
        .map(|c| {
            let copy = columns.column(c.name.clone(), c.ty.clone(), true);
            (c.clone(), copy)
        })
        .collect();

    // One DISTINCT input per distinct (argument, filter).
    let mut arguments: Vec<(Expr, Option<Expr>, Column)> = Vec::new();
    for aggregate in aggregates.iter().filter(|a| a.distinct) {
        let Some(argument) = &aggregate.argument else {
            continue;
        };
        if !arguments
            .iter()
            .any(|(x, f, _)| x == argument && *f == aggregate.filter)
        {
            let column = columns.column("distinct", argument.ty.clone(), true);
            arguments.push((argument.clone(), aggregate.filter.clone(), column));
        }
    }

    let mut union_columns = vec![tag.clone()];
    union_columns.extend(group.iter().cloned());
    union_columns.extend(carried.iter().map(|(_, copy)| copy.clone()));
    union_columns.extend(arguments.iter().map(|(_, _, column)| column.clone()));

    let tag_value = |n: usize| Expr::constant(n.to_string(), ColumnType::integer(), false);
    let mut plain: Vec<Expr> = vec![tag_value(0)];
    plain.extend(keys.iter().map(|(_, expr)| expr.clone()));
    plain.extend(carried.iter().map(|(original, _)| Expr::of(original)));
    plain.extend(arguments.iter().map(|(x, _, _)| Expr::null(&x.ty)));
    let mut inputs = vec![(input.clone(), plain)];

    for (position, (argument, filter, _)) in arguments.iter().enumerate() {
        let conditions = filter.iter().cloned().map(Predicate::of).collect();
        let filtered = input.clone().filtered(conditions);
        let mut projected: Vec<(Column, Expr)> = keys
            .iter()
            .map(|(key, expr)| {
                let column = columns.column(key.name.clone(), key.ty.clone(), key.nullable);
                (column, expr.clone())
            })
            .collect();
        let value = columns.column("distinct", argument.ty.clone(), argument.nullable);
        projected.push((value, argument.clone()));
        let distinct_columns: Vec<Column> = projected.iter().map(|(c, _)| c.clone()).collect();
        let (value, group_of_distinct) = match distinct_columns.split_last() {
            Some(split) => split,
            None => continue,
        };

        let mut exprs = vec![tag_value(position + 1)];
        exprs.extend(group_of_distinct.iter().map(Expr::of));
        exprs.extend(carried.iter().map(|(original, _)| Expr::null(&original.ty)));
        exprs.extend(arguments.iter().enumerate().map(|(other, (x, _, _))| {
            if other == position {
                Expr::of(value)
            } else {
                Expr::null(&x.ty)
            }
        }));
        inputs.push((filtered.projected(projected).distinct(), exprs));
    }

    let carried_exprs: Vec<(ColumnId, Expr)> = carried
        .iter()
        .map(|(original, copy)| (original.id, Expr::of(copy)))
        .collect();
    let rename = |expr: &Expr| {
        expr.substitute(|id| {
            carried_exprs
                .iter()
                .find(|(original, _)| *original == id)
                .map(|(_, copy)| copy)
        })
    };
    let aggregates = aggregates
        .into_iter()
        .map(|aggregate| {
            let input = arguments.iter().position(|(x, f, _)| {
                aggregate.distinct
                    && Some(x) == aggregate.argument.as_ref()
                    && *f == aggregate.filter
            });
            match input {
                Some(position) => Aggregate {
                    argument: arguments.get(position).map(|(_, _, c)| Expr::of(c)),
                    filter: Some(tagged(&tag, position + 1, None)),
                    distinct: false,
                    ..aggregate
                },
                None => Aggregate {
                    argument: aggregate.argument.as_ref().map(&rename),
                    filter: Some(tagged(
                        &tag,
                        0,
                        aggregate.filter.as_ref().map(&rename).as_ref(),
                    )),
                    ..aggregate
                },
            }
        })
        .collect();

    let keys = keys.into_iter().zip(&group);
    let keys = keys.map(|((key, _), column)| (key, Expr::of(column)));
    let union = Relation::UnionAll {
        columns: union_columns,
        inputs,
    };
    union.grouped(keys.collect(), aggregates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::compile;
    use crate::tree::AggregateKind;
    use crate::tree::testing::{aggregate, expr, filtered, group, numeric, of_distinct, scan};

    fn counted(distinct: Vec<Aggregate>) -> Relation {
        group(scan(1, 10, "r"), &[(21, "g", "$11")], distinct)
    }

    fn rewritten(relation: Relation) -> Relation {
        let mut columns = ColumnAllocator::above(&relation);
        unnest(relation, &mut columns)
    }

    fn arms(relation: &Relation) -> usize {
        match relation {
            Relation::Aggregate { input, .. } => match input.as_ref() {
                Relation::UnionAll { inputs, .. } => inputs.len(),
                _ => 0,
            },
            _ => 0,
        }
    }

    #[test]
    fn each_argument_and_filter_has_one_distinct_input() {
        let count = |id, argument| of_distinct(aggregate(id, AggregateKind::Count, argument));
        for (calls, expected) in [
            (vec![count(31, "$12")], 2),
            (
                vec![
                    count(31, "$12"),
                    of_distinct(aggregate(32, AggregateKind::SumInteger, "$12")),
                ],
                2,
            ),
            (vec![count(31, "$12"), count(32, "$13")], 3),
            (
                vec![count(31, "$12"), filtered(count(32, "$12"), "($13 > 0)")],
                3,
            ),
        ] {
            assert_eq!(arms(&rewritten(counted(calls))), expected);
        }
    }

    #[test]
    fn the_output_columns_stay() {
        let before = counted(vec![
            aggregate(31, AggregateKind::SumInteger, "$13"),
            of_distinct(aggregate(32, AggregateKind::Count, "$12")),
        ]);
        let after = rewritten(before.clone());
        assert_eq!(after.columns(), before.columns());
        assert_eq!(arms(&after), 2);
    }

    #[test]
    fn without_distinct_nothing_changes() {
        let plain = counted(vec![aggregate(31, AggregateKind::Count, "$12")]);
        assert_eq!(rewritten(plain.clone()), plain);
    }

    #[test]
    fn groups_that_are_recomputed_anyway_keep_the_servers_distinct() {
        let call = || of_distinct(aggregate(31, AggregateKind::Count, "$12"));
        let beside = counted(vec![call(), aggregate(32, AggregateKind::Recompute, "$12")]);
        assert_eq!(rewritten(beside.clone()), beside);
        let vague = Relation::Aggregate {
            input: Box::new(scan(1, 10, "r")),
            keys: vec![(
                Column {
                    ty: numeric(),
                    ..aggregate(21, AggregateKind::CountStar, "").column
                },
                expr("$11"),
            )],
            aggregates: vec![call()],
        };
        assert_eq!(rewritten(vague.clone()), vague);
    }

    #[test]
    fn the_plain_part_filters_by_its_tag() {
        let both = counted(vec![
            filtered(aggregate(31, AggregateKind::SumInteger, "$13"), "($12 > 0)"),
            of_distinct(aggregate(32, AggregateKind::Count, "$12")),
        ]);
        let Relation::Aggregate { aggregates, .. } = rewritten(both) else {
            unreachable!("a grouping stays one");
        };
        let filters: Vec<String> = aggregates
            .iter()
            .filter_map(|a| a.filter.as_ref())
            .map(|f| f.render(|id| format!("${}", id.0)))
            .collect();
        insta::assert_snapshot!(filters.join("\n"), @r"
        $33 OPERATOR(pg_catalog.=) 0 AND (($35 > 0))
        $33 OPERATOR(pg_catalog.=) 1
        ");
    }

    #[test]
    fn a_distinct_aggregate_compiles_to_a_node_below() {
        let call = of_distinct(aggregate(31, AggregateKind::Count, "$12"));
        let plan = compile(counted(vec![call])).expect("supported");
        assert_eq!(plan.nodes.len(), 2);
    }
}

//! DISTINCT aggregates become plain aggregates over a DISTINCT input.
//!
//! ```text
//! γ g; a(x), b(DISTINCT y) (R)
//!   = γ g; a(x) FILTER tag=0, b(y) FILTER tag=1 (π 0,g,x,NULL (R) ⊎ π 1,g,NULL,y (δ π g,y (R)))
//! ```
//! A FILTER of the DISTINCT aggregate moves below δ. Every tag-1 row has a tag-0 row of its group,
//! so groups appear and vanish with R. The state of δ holds each (g, y) with its multiplicity: a
//! change costs O(|Δ|), not the size of the group.
//!
//! Where touched groups are recomputed anyway (see [`crate::operators::aggregate`]), the rule does not
//! apply: the server's own DISTINCT is simplest.

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

/// The columns of the union.
struct Union {
    /// Which input a row is of: 0 for the plain one.
    tag: Column,
    /// The keys.
    group: Vec<Column>,
    /// What the plain aggregates read, and what carries it.
    carried: Vec<(Column, Column)>,
    /// The different arguments of the others with their filters, and what carries their values.
    arguments: Vec<(Expr, Option<Expr>, Column)>,
}

impl Union {
    fn over(
        input: &Relation,
        keys: &[(Column, Expr)],
        aggregates: &[Aggregate],
        columns: &mut ColumnAllocator,
    ) -> Self {
        let tag = columns.column("tag", ColumnType::integer(), false);
        let group = copies(keys, columns);
        let plain = aggregates.iter().filter(|a| !a.distinct);
        let plain_reads: Vec<ColumnId> = plain
            .flat_map(|a| [&a.argument, &a.filter])
            .flatten()
            .flat_map(Expr::columns)
            .collect();
        let read = input.columns().into_iter();
        let read = read.filter(|column| plain_reads.contains(&column.id));
        let carried = read.map(|column| {
            let copy = columns.column(column.name.clone(), column.ty.clone(), true);
            (column, copy)
        });
        let mut union = Union {
            tag,
            group,
            carried: carried.collect(),
            arguments: Vec::new(),
        };
        for aggregate in aggregates.iter().filter(|a| a.distinct) {
            if let Some(argument) = &aggregate.argument
                && union.position(aggregate).is_none()
            {
                let column = columns.column("distinct", argument.ty.clone(), true);
                let argument = (argument.clone(), aggregate.filter.clone(), column);
                union.arguments.push(argument);
            }
        }
        union
    }

    /// Which of the arguments is that of the aggregate.
    fn position(&self, aggregate: &Aggregate) -> Option<usize> {
        self.arguments.iter().position(|(argument, filter, _)| {
            Some(argument) == aggregate.argument.as_ref() && *filter == aggregate.filter
        })
    }

    fn columns(&self) -> Vec<Column> {
        let mut columns = vec![self.tag.clone()];
        columns.extend(self.group.iter().cloned());
        columns.extend(self.carried.iter().map(|(_, copy)| copy.clone()));
        columns.extend(self.arguments.iter().map(|(_, _, column)| column.clone()));
        columns
    }

    /// The values of the plain input's rows.
    fn plain(&self, keys: &[(Column, Expr)]) -> Vec<Expr> {
        let mut exprs = vec![tag_value(0)];
        exprs.extend(keys.iter().map(|(_, expr)| expr.clone()));
        exprs.extend(self.carried.iter().map(|(original, _)| Expr::of(original)));
        exprs.extend(self.arguments.iter().map(|(x, _, _)| Expr::null(&x.ty)));
        exprs
    }

    /// The different values of an argument per group, as rows of the union.
    fn distinct(
        &self,
        position: usize,
        input: &Relation,
        keys: &[(Column, Expr)],
        columns: &mut ColumnAllocator,
    ) -> Option<(Relation, Vec<Expr>)> {
        let (argument, filter, _) = self.arguments.get(position)?;
        let conditions = filter.iter().cloned().map(Predicate::of).collect();
        let group = copies(keys, columns);
        let value = columns.column("distinct", argument.ty.clone(), argument.nullable);

        let mut exprs = vec![tag_value(position + 1)];
        exprs.extend(group.iter().map(Expr::of));
        exprs.extend(
            self.carried
                .iter()
                .map(|(original, _)| Expr::null(&original.ty)),
        );
        let arguments = self.arguments.iter().enumerate();
        exprs.extend(arguments.map(|(other, (x, _, _))| match other == position {
            true => Expr::of(&value),
            false => Expr::null(&x.ty),
        }));
        let computed = keys.iter().map(|(_, expr)| expr.clone());
        let mut projected: Vec<_> = group.into_iter().zip(computed).collect();
        projected.push((value, argument.clone()));
        let rows = input.clone().filtered(conditions).projected(projected);
        Some((rows.distinct(), exprs))
    }

    /// The aggregate over the rows of its input.
    fn aggregate(&self, aggregate: Aggregate) -> Aggregate {
        let position = match aggregate.distinct {
            true => self.position(&aggregate),
            false => None,
        };
        if let Some(position) = position {
            return Aggregate {
                argument: self.arguments.get(position).map(|(_, _, c)| Expr::of(c)),
                filter: Some(tagged(&self.tag, position + 1, None)),
                distinct: false,
                ..aggregate
            };
        }
        let copies = self.carried.iter();
        let copies: Vec<_> = copies
            .map(|(original, copy)| (original.id, Expr::of(copy)))
            .collect();
        let copy_of = |id| copies.iter().find(|(original, _)| *original == id);
        let renamed = |expr: &Expr| expr.substitute(|id| copy_of(id).map(|(_, copy)| copy));
        let filter = aggregate.filter.as_ref().map(renamed);
        Aggregate {
            argument: aggregate.argument.as_ref().map(renamed),
            filter: Some(tagged(&self.tag, 0, filter.as_ref())),
            ..aggregate
        }
    }
}

/// New columns for the keys.
fn copies(keys: &[(Column, Expr)], columns: &mut ColumnAllocator) -> Vec<Column> {
    let keys = keys.iter();
    keys.map(|(key, _)| columns.column(key.name.clone(), key.ty.clone(), key.nullable))
        .collect()
}

fn tag_value(n: usize) -> Expr {
    Expr::constant(n.to_string(), ColumnType::integer(), false)
}

fn rewrite(
    input: Relation,
    keys: Vec<(Column, Expr)>,
    aggregates: Vec<Aggregate>,
    columns: &mut ColumnAllocator,
) -> Relation {
    let union = Union::over(&input, &keys, &aggregates, columns);
    let mut inputs = vec![(input.clone(), union.plain(&keys))];
    for position in 0..union.arguments.len() {
        inputs.extend(union.distinct(position, &input, &keys, columns));
    }
    let aggregates = aggregates
        .into_iter()
        .map(|aggregate| union.aggregate(aggregate));
    let aggregates = aggregates.collect();
    let grouped = keys.into_iter().zip(&union.group);
    let keys = grouped.map(|((key, _), column)| (key, Expr::of(column)));
    let rows = Relation::UnionAll {
        columns: union.columns(),
        inputs,
    };
    rows.grouped(keys.collect(), aggregates)
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

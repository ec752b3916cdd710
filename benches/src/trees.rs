//! Operator trees of queries, as the extension's parser would make them.

use pgtrickle_dvm::tree::{
    Aggregate, AggregateKind, Column, ColumnId, ColumnType, Expr, Index, Predicate, Relation, Scan,
    ScanColumn, Visible,
};

/// `SELECT t1.b, count(*), sum(tn.b) FROM t1 JOIN … JOIN tn ON tᵢ.a = tᵢ₊₁.a GROUP BY t1.b`.
pub fn join_then_group(tables: u32) -> Relation {
    let mut joined = scan(1);
    for table in 2..=tables {
        joined = Relation::Join {
            left: Box::new(joined),
            right: Box::new(scan(table)),
            predicates: vec![equal(column(table - 1, 1), column(table, 1))],
        };
    }
    let last = column(tables, 2);
    Relation::Aggregate {
        input: Box::new(joined),
        keys: vec![(named(1_001, "b"), reference(&column(1, 2)))],
        aggregates: vec![
            aggregate(1_002, "n", AggregateKind::CountStar, "count(*)", None),
            aggregate(
                1_003,
                "total",
                AggregateKind::SumInteger,
                "sum",
                Some(reference(&last)),
            ),
        ],
    }
}

fn scan(table: u32) -> Relation {
    let columns = [1, 2]
        .into_iter()
        .map(|attnum: u32| ScanColumn {
            column: column(table, attnum),
            attnum: attnum as i16,
            quoted: ["a", "b"][attnum as usize - 1].to_owned(),
        })
        .collect();
    Relation::Scan(Scan {
        oid: 16_000 + table,
        relation: format!("public.t{table}"),
        columns,
        indexes: vec![Index {
            attnums: vec![Some(1)],
            identifies_row: true,
        }],
        visible: Visible::default(),
    })
}

fn column(table: u32, attnum: u32) -> Column {
    named(table * 10 + attnum, ["a", "b"][attnum as usize - 1])
}

fn named(id: u32, name: &str) -> Column {
    Column {
        id: ColumnId(id),
        name: name.to_owned(),
        ty: bigint(),
        nullable: false,
    }
}

fn bigint() -> ColumnType {
    ColumnType {
        sql: "bigint".to_owned(),
        ..ColumnType::integer()
    }
}

fn reference(column: &Column) -> Expr {
    Expr::column(column.id, column.ty.clone(), column.nullable)
}

fn equal(left: Column, right: Column) -> Predicate {
    let (left, right) = (reference(&left), reference(&right));
    let mut expr = left.clone();
    expr.parts
        .push(pgtrickle_dvm::tree::Part::Sql(" = ".to_owned()));
    expr.parts.extend(right.parts.iter().cloned());
    Predicate {
        expr,
        equality: Some((left, right)),
    }
}

fn aggregate(
    id: u32,
    name: &str,
    kind: AggregateKind,
    call: &str,
    argument: Option<Expr>,
) -> Aggregate {
    let mut expr = Expr::constant(call, bigint(), false);
    if let Some(argument) = &argument {
        expr.parts
            .push(pgtrickle_dvm::tree::Part::Sql("(".to_owned()));
        expr.parts.extend(argument.parts.iter().cloned());
        expr.parts
            .push(pgtrickle_dvm::tree::Part::Sql(")".to_owned()));
    }
    Aggregate {
        column: named(id, name),
        kind,
        call: expr,
        argument,
        filter: None,
        distinct: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tree_compiles_to_one_node_over_all_of_its_tables() {
        for tables in 1..=6 {
            let plan = pgtrickle_dvm::plan::compile(join_then_group(tables)).unwrap();
            assert_eq!(plan.nodes.len(), 1);
            assert_eq!(plan.nodes[0].block.sources().len(), tables as usize);
        }
    }
}

//! Window functions, and the first rows of an order: operators whose output for a key is a function of the
//! input rows with that key.
//!
//! ```text
//! P(R)  = ⊎ over keys k of f(R_k)
//! ΔP(R) = ⊎ over keys k of ΔR of  f(R⁺_k) − f(R⁻_k)
//! ```
//! The server computes `f(R⁺_k)`; `f(R⁻_k)` are the stored rows with the key. The refresh writes the
//! difference by image.
//!
//! State: the operator's rows, which may be those of the stream table. Cost: the size of the touched
//! partitions, found through an index on the key; without a key the whole input is one partition.
//! [`super::first_rows`] does better for some limits, [`super::reach`] for some windows.
//!
//! [`crate::plan`] refuses functions and limits whose result depends on the order of ties.

use std::collections::HashMap;

use crate::canary;
use crate::plan::{Node, Partition};
use crate::sql::names::{TOUCHED, column, key};
use crate::sql::render_over;
use crate::tree::{ColumnId, Expr};

use super::block_columns::{block_name, names_under};
use super::first_rows;
use super::join;
use super::stored;
use super::touched;
use crate::operators::statement::Emit;
use crate::operators::statement::{Context, push_where};

/// Which rows are computed.
#[derive(Debug, Clone, Copy)]
enum Rows<'a> {
    /// All of them.
    All,
    /// Those of the keys in [`TOUCHED`]. A flag says that this key is NULL in every one of them.
    Touched(&'a [bool]),
}

/// The state, from nothing.
pub fn initial(context: Context<'_>, node: &Node, partition: &Partition) -> String {
    let names = stored::names(node);
    let items: Vec<String> = names.iter().map(|name| format!("g.{name}")).collect();
    format!(
        "SELECT {}\nFROM {}",
        items.join(", "),
        rows(context, node, partition, Rows::All)
    )
}

/// The rows `c0`… that a consumer wants of the partitions in the ephemeral relation [`TOUCHED`] (`ord int`,
/// keys). A bit of `null_keys` says that this key is NULL in every one of them, so that the others can use
/// indexes.
pub fn recompute(
    context: Context<'_>,
    node: &Node,
    partition: &Partition,
    emit: &Emit<'_>,
    null_keys: &[bool],
) -> String {
    let printed: HashMap<ColumnId, String> = node
        .columns()
        .into_iter()
        .zip(stored::names(node))
        .map(|(column, name)| (column.id, format!("g.{name}")))
        .collect();
    let print = |expr: &Expr| render_over(expr, &printed);
    let mut items: Vec<String> = emit
        .exprs
        .iter()
        .enumerate()
        .map(|(position, expr)| format!("{} AS {}", print(expr), column(position)))
        .collect();
    if items.is_empty() {
        items.push("1 AS one".into());
    }
    let mut sql = format!(
        "SELECT {}\nFROM {}",
        items.join(", "),
        rows(context, node, partition, Rows::Touched(null_keys))
    );
    let conditions: Vec<String> = emit
        .predicates
        .iter()
        .map(|p| format!("({})", print(&p.expr)))
        .collect();
    push_where(&mut sql, &conditions);
    sql
}

/// What the operator is computed over.
struct Input {
    /// What stands before the rows in FROM.
    touched: String,
    /// The rows, as a FROM item `d`.
    block: String,
    conditions: Vec<String>,
}

impl Input {
    fn of(context: Context<'_>, node: &Node, rows: Rows<'_>) -> Self {
        let block_name = block_name(node);
        let keys = match rows {
            Rows::Touched(null_keys) if !node.is_global() => Some(null_keys),
            Rows::Touched(_) | Rows::All => None,
        };
        let joined = keys.and_then(|keys| touched::unmerged(context, node, keys, &block_name));
        let joined_here = keys.filter(|_| joined.is_none());
        let block = joined.unwrap_or_else(|| join::state(context, &node.block, &block_name));
        let conditions = joined_here
            .map(|keys| touched::conditions(node, keys, |at| format!("d.{}", key(at)), "t"));
        Input {
            touched: joined_here.map_or_else(String::new, |_| format!("{TOUCHED} AS t, ")),
            block: format!("(\n{block}\n) AS d"),
            conditions: conditions.unwrap_or_default(),
        }
    }
}

/// The operator's rows as a FROM item `g`, with the columns of the state.
fn rows(context: Context<'_>, node: &Node, partition: &Partition, rows: Rows<'_>) -> String {
    let keys = node.keys.len();
    let block_name = block_name(node);
    let printed = names_under(node, "d", &block_name);
    let print = |expr: &Expr| render_over(expr, &printed);
    let by: Vec<String> = (0..keys).map(|k| format!("d.{}", key(k))).collect();
    let names = stored::names(node);
    let mut items: Vec<String> = (0..node.block.columns.len())
        .map(&block_name)
        .zip(&names)
        .map(|(from, to)| format!("d.{from} AS {to}"))
        .collect();
    let calls = partition.calls().iter();
    items.extend(
        calls
            .zip(names.iter().skip(items.len()))
            .map(|(call, name)| format!("{} AS {name}", call.render(&by, print))),
    );

    let Input {
        touched,
        block,
        conditions,
    } = Input::of(context, node, rows);
    let mut kept = String::new();
    if let Partition::TopN {
        order,
        offset,
        limit,
        with_ties,
    } = partition
    {
        let sorted = first_rows::order_within(node, order, print);
        let count = limit.filter(|_| !with_ties);
        let one_by_one = !touched.is_empty() && first_rows::is_sorted_by_index(node, order);
        if let Some(count) = count
            && (node.is_global() || one_by_one)
        {
            let mut sql = format!("SELECT {}\nFROM {block}", items.join(", "));
            push_where(&mut sql, &conditions);
            let lateral = if one_by_one { "LATERAL " } else { "" };
            return format!(
                "{touched}{lateral}({sql}\n{sorted}\nLIMIT {count} OFFSET {offset}) AS g"
            );
        }
        let over = match by.is_empty() {
            true => sorted,
            false => format!("PARTITION BY {} {sorted}", by.join(", ")),
        };
        items.push(format!("row_number() OVER ({over}) AS nth"));
        kept = format!("g.nth > {offset}");
        if let Some(limit) = limit {
            let peers = *with_ties && !canary::active(canary::TIES_CUT_OFF);
            let last = if peers { "nth_peer" } else { "nth" };
            if *with_ties {
                items.push(format!("rank() OVER ({over}) AS nth_peer"));
            }
            kept.push_str(&format!(
                " AND g.{last} <= {}",
                offset.saturating_add(*limit)
            ));
        }
    }
    if items.is_empty() {
        items.push("1 AS one".into());
    }
    let mut sql = format!("SELECT {}\nFROM {touched}{block}", items.join(", "));
    push_where(&mut sql, &conditions);
    if kept.is_empty() {
        format!("({sql}) AS g")
    } else {
        format!("(SELECT * FROM ({sql}) AS g WHERE {kept}) AS g")
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use std::collections::BTreeSet;

    use super::*;
    use crate::operators::state;
    use crate::operators::testing::context;
    use crate::plan::{Source, compile};
    use crate::tree::testing::{
        column as made, condition, expr, filter, first_rows, integer, keyed_scan, scan, sort_key,
    };
    use crate::tree::{Index, Relation, Ties, WindowCall};

    /// What is touched when the table changed, and the rows of what is touched.
    fn statements(relation: Relation) -> String {
        let plan = compile(relation).expect("supported");
        let context = context(&plan);
        let node = &plan.nodes[0];
        let touched = state::delta(context, node, &BTreeSet::from([Source::Table(1)]));
        let exprs: Vec<Expr> = node.columns().iter().map(Expr::of).collect();
        let emit = Emit {
            predicates: &[],
            exprs: exprs.into(),
            with_old: true,
        };
        let rule = node.partition().expect("partitions");
        let fresh = recompute(context, node, rule, &emit, &[]);
        format!("{}\n\n{fresh}", touched.terms.expect("changed"))
    }

    fn first(relation: Relation, by: &[ColumnId], order: &[&str]) -> Relation {
        let keys = order.iter().map(|c| sort_key(c, "DESC NULLS LAST"));
        first_rows(relation, by, keys.collect(), 0, Some(3), false)
    }

    #[test]
    fn a_window_is_computed_over_the_touched_partitions() {
        let windowed = Relation::Window {
            input: Box::new(filter(scan(1, 10, "r"), vec![condition("($13 > 0)")])),
            partition: vec![ColumnId(12)],
            calls: vec![WindowCall {
                column: made(31, "sum", integer()),
                function: expr("sum($11)"),
                arguments: vec![expr("$11")],
                partition: Vec::new(),
                order: vec![sort_key("$13", "DESC NULLS LAST")],
                frame: "GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW".into(),
                ties: Ties::Harmless,
                reach: None,
            }],
        };
        assert_snapshot!(statements(windowed), @r"
        SELECT d.k0
        FROM (
        SELECT s0.a2 AS k0, s0.a1 AS x0, s0.a3 AS x1, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0
        WHERE ((s0.a3 > 0))
        ) AS d
        GROUP BY d.k0

        SELECT g.k0 AS c0, g.a0 AS c1, g.a1 AS c2, g.a2 AS c3
        FROM (SELECT d.k0 AS k0, d.x0 AS a0, d.x1 AS a1, sum(d.x0) OVER (PARTITION BY d.k0 ORDER BY d.x1 DESC NULLS LAST GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) AS a2
        FROM __pgt_touched AS t, (
        SELECT s0.b AS k0, s0.a AS x0, s0.c AS x1, 1 AS __pgt_w
        FROM r AS s0
        WHERE ((s0.c > 0))
        ) AS d
        WHERE d.k0 = t.k0) AS g
        ");
    }

    #[test]
    fn first_rows_of_a_whole_table_look_at_what_comes_before_the_last() {
        let top = first(keyed_scan(1, 10, "k"), &[], &["$12", "$11"]);
        assert_snapshot!(statements(top), @r"
        SELECT count(*) AS d FROM (SELECT f.is_changed FROM (SELECT d.x1 AS o0, d.x0 AS o1, 1 AS is_changed FROM (
        SELECT s0.a1 AS x0, s0.a2 AS x1, s0.a3 AS x2, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0
        ) AS d
        UNION ALL SELECT s.a1 AS o0, s.a0 AS o1, 0 FROM st_0 AS s) AS f
        ORDER BY f.o0 DESC NULLS LAST, f.o1 DESC NULLS LAST, f.is_changed DESC LIMIT 3) AS f
        WHERE f.is_changed = 1 HAVING count(*) > 0

        SELECT g.a0 AS c0, g.a1 AS c1, g.a2 AS c2
        FROM (SELECT d.x0 AS a0, d.x1 AS a1, d.x2 AS a2
        FROM (
        SELECT s0.a AS x0, s0.b AS x1, s0.c AS x2, 1 AS __pgt_w
        FROM k AS s0
        ) AS d
        ORDER BY d.x1 DESC NULLS LAST, d.x0 DESC NULLS LAST
        LIMIT 3 OFFSET 0) AS g
        ");
    }

    #[test]
    fn first_rows_of_keys_are_numbered() {
        let tops = first(
            keyed_scan(1, 10, "k"),
            &[ColumnId(12)],
            &["$12", "$13", "$11"],
        );
        assert_snapshot!(statements(tops), @r"
        SELECT d.k0
        FROM (
        SELECT s0.a2 AS k0, s0.a1 AS x0, s0.a3 AS x1, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0
        ) AS d
        GROUP BY d.k0

        SELECT g.k0 AS c0, g.a0 AS c1, g.a1 AS c2
        FROM (SELECT * FROM (SELECT d.k0 AS k0, d.x0 AS a0, d.x1 AS a1, row_number() OVER (PARTITION BY d.k0 ORDER BY d.x1 DESC NULLS LAST, d.x0 DESC NULLS LAST) AS nth
        FROM __pgt_touched AS t, (
        SELECT s0.b AS k0, s0.a AS x0, s0.c AS x1, 1 AS __pgt_w
        FROM k AS s0
        ) AS d
        WHERE d.k0 = t.k0) AS g WHERE g.nth > 0 AND g.nth <= 3) AS g
        ");
    }

    #[test]
    fn first_rows_of_keys_are_read_from_an_index_in_their_order() {
        let Relation::Scan(mut table) = keyed_scan(1, 10, "k") else {
            unreachable!("a scan is a scan");
        };
        table.indexes.push(Index {
            attnums: vec![Some(2), Some(3)],
            identifies_row: false,
        });
        let keys = ["$12", "$13", "$11"];
        let tops = first(Relation::Scan(table), &[ColumnId(12)], &keys);
        assert_snapshot!(statements(tops), @r"
        SELECT d.k0
        FROM (
        SELECT s0.a2 AS k0, s0.a1 AS x0, s0.a3 AS x1, s0.__pgt_w AS __pgt_w
        FROM __pgt_delta_1 AS s0
        ) AS d
        GROUP BY d.k0

        SELECT g.k0 AS c0, g.a0 AS c1, g.a1 AS c2
        FROM __pgt_touched AS t, LATERAL (SELECT d.k0 AS k0, d.x0 AS a0, d.x1 AS a1
        FROM (
        SELECT s0.b AS k0, s0.a AS x0, s0.c AS x1, 1 AS __pgt_w
        FROM k AS s0
        ) AS d
        WHERE d.k0 = t.k0
        ORDER BY d.x1 DESC NULLS LAST, d.x0 DESC NULLS LAST
        LIMIT 3 OFFSET 0) AS g
        ");
    }
}

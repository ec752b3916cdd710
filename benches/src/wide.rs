//! Joins of many tables: what a refresh takes against the number of tables, when one, half or all of them changed on
//! the same key, beside computing the query again.

use crate::stats::{median, time_ms};
use anyhow::{Result, ensure};
use harness::client::{Session, quote_literal};
use harness::oracle::Question;
use std::fmt::Write as _;

/// Rows of each table.
const ROWS: u64 = 2_000;
/// How many tables are joined.
pub const TABLES: [usize; 5] = [4, 8, 12, 16, 20];
/// Measured changes; some before them warm caches and plans.
const ROUNDS: usize = 9;
const WARMING: usize = 3;
/// How often the query is computed again.
const RECOMPUTED: usize = 3;

/// A query over so many tables.
pub type Query = fn(usize) -> String;

/// How the tables are joined.
pub const SHAPES: [(&str, Query); 8] = [
    ("inner chain", |n| chain(n, "JOIN")),
    ("LEFT JOIN chain", |n| chain(n, "LEFT JOIN")),
    ("LEFT JOIN star", |n| star(n, "LEFT JOIN")),
    ("FULL JOIN chain", |n| chain(n, "FULL JOIN")),
    ("FULL JOIN USING", using),
    ("scalar subqueries", scalars),
    ("inner star, grouped", grouped_star),
    ("joins of grouped subqueries", grouped_subqueries),
];

/// Whether a table changes.
pub type IsChanged = fn(usize) -> bool;

/// Which tables change.
pub const CHANGES: [(&str, IsChanged); 3] = [
    ("one", |table| table == 2),
    ("half", |table| table % 2 == 0),
    ("all", |_| true),
];

/// Medians of one query in milliseconds, commit included.
#[derive(Debug, Clone)]
pub struct Row {
    pub shape: &'static str,
    pub tables: usize,
    /// For each of [`CHANGES`].
    pub refresh_ms: Vec<f64>,
    pub recompute_ms: f64,
}

impl Row {
    /// The slowest refresh as a part of computing the query again.
    pub fn ratio(&self) -> f64 {
        self.refresh_ms.iter().copied().fold(0.0, f64::max) / self.recompute_ms
    }
}

fn listed(
    tables: std::ops::RangeInclusive<usize>,
    part: impl Fn(usize) -> String,
    by: &str,
) -> String {
    tables.map(part).collect::<Vec<_>>().join(by)
}

fn payload(tables: usize) -> String {
    listed(1..=tables, |t| format!("t{t}.c AS c{t}"), ", ")
}

fn chain(tables: usize, join: &str) -> String {
    let joined = listed(
        2..=tables,
        |t| format!("{join} t{t} ON t{t}.a = t{}.b", t - 1),
        " ",
    );
    format!("SELECT t1.a, {} FROM t1 {joined}", payload(tables))
}

fn star(tables: usize, join: &str) -> String {
    let joined = listed(2..=tables, |t| format!("{join} t{t} ON t{t}.b = t1.b"), " ");
    format!("SELECT t1.a, {} FROM t1 {joined}", payload(tables))
}

fn using(tables: usize) -> String {
    let joined = listed(2..=tables, |t| format!("FULL JOIN t{t} USING (a)"), " ");
    format!("SELECT a, {} FROM t1 {joined}", payload(tables))
}

fn scalars(tables: usize) -> String {
    let sums = listed(
        2..=tables,
        |t| format!("(SELECT sum(c) FROM t{t} WHERE t{t}.b = t1.b) AS s{t}"),
        ", ",
    );
    format!("SELECT t1.a, {sums} FROM t1")
}

fn grouped_star(tables: usize) -> String {
    let sums = listed(2..=tables, |t| format!("sum(t{t}.c) AS s{t}"), ", ");
    let joined = listed(2..=tables, |t| format!("JOIN t{t} ON t{t}.a = t1.b"), " ");
    format!("SELECT t1.c, count(*) AS n, {sums} FROM t1 {joined} GROUP BY t1.c")
}

fn grouped_subqueries(tables: usize) -> String {
    let sums = listed(1..=tables, |t| format!("g{t}.s AS s{t}"), ", ");
    let of = |t: usize| format!("(SELECT b, sum(c) AS s FROM t{t} GROUP BY b) g{t}");
    let joined = listed(
        2..=tables,
        |t| format!("JOIN {} ON g{t}.b = g1.b", of(t)),
        " ",
    );
    format!("SELECT g1.b, {sums} FROM {} {joined}", of(1))
}

/// Creates the tables.
pub async fn prepare(session: &Session) -> Result<()> {
    let most = TABLES.iter().max().copied().unwrap_or(0);
    for table in 1..=most {
        session
            .execute(&format!(
                "CREATE TABLE t{table} (a int PRIMARY KEY, b int NOT NULL, c int NOT NULL);
                 INSERT INTO t{table} SELECT i, i, i FROM generate_series(1, {ROWS}) i;
                 CREATE INDEX ON t{table} (b)"
            ))
            .await?;
    }
    session.execute("VACUUM ANALYZE").await?;
    Ok(())
}

/// Measures a shape at a number of tables.
pub async fn measure(
    session: &Session,
    shape: &'static str,
    query: &str,
    tables: usize,
) -> Result<Row> {
    session
        .execute(&format!(
            "SELECT pgtrickle.create_stream_table('wide', {}, refresh_mode => 'DIFFERENTIAL', schedule => '24h');
             CREATE MATERIALIZED VIEW full_wide AS {query}",
            quote_literal(query)
        ))
        .await?;
    let mut refresh_ms = Vec::new();
    for (_, is_changed) in CHANGES {
        let updates = |key: usize| {
            let update = |t| format!("UPDATE t{t} SET c = c + 1 WHERE a = {key}");
            let changed = (1..=tables).filter(|t| is_changed(*t));
            changed.map(update).collect::<Vec<_>>().join("; ")
        };
        let mut times = Vec::new();
        for round in 0..WARMING + ROUNDS {
            session
                .execute(&format!("BEGIN; {}; COMMIT", updates(100 + round)))
                .await?;
            let ms = time_ms(session, "SELECT pgtrickle.refresh_stream_table('wide')").await?;
            if round >= WARMING {
                times.push(ms);
            }
        }
        refresh_ms.push(median(&times));
    }
    let verdict = Question::query("wide", query).ask(session).await?;
    ensure!(
        verdict.is_exact(),
        "{shape} of {tables} tables is {verdict}"
    );
    let mut again = Vec::new();
    for _ in 0..RECOMPUTED {
        again.push(time_ms(session, "REFRESH MATERIALIZED VIEW full_wide").await?);
    }
    session
        .execute("DROP MATERIALIZED VIEW full_wide; SELECT pgtrickle.drop_stream_table('wide')")
        .await?;
    Ok(Row {
        shape,
        tables,
        refresh_ms,
        recompute_ms: median(&again),
    })
}

/// The table, as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| join | tables | one changed, ms | half, ms | all, ms | all, per table | recomputation, ms |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let all = row.refresh_ms.last().copied().unwrap_or(f64::NAN);
        let cells: Vec<String> = row.refresh_ms.iter().map(|ms| format!("{ms:.1}")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.1} |",
            row.shape,
            row.tables,
            cells.join(" | "),
            all / row.tables as f64,
            row.recompute_ms
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_reads_every_table() {
        for (name, query) in SHAPES {
            let query = query(12);
            assert!((1..=12).all(|t| query.contains(&format!("t{t}"))), "{name}");
        }
    }

    #[test]
    fn the_slowest_refresh_is_compared_with_recomputation() {
        let row = Row {
            shape: "chain",
            tables: 4,
            refresh_ms: vec![1.0, 2.0, 4.0],
            recompute_ms: 8.0,
        };
        assert_eq!(row.ratio(), 0.5);
        assert!(markdown(&[row]).contains("| chain | 4 | 1.0 | 2.0 | 4.0 | 1.00 | 8.0 |\n"));
    }
}

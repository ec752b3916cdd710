//! Joins of many tables: what a refresh takes against the number of tables, when one, half or all of them changed on
//! the same key, beside computing the query again: processor time, since planning and starting so many joins is what
//! both mostly do.

use crate::plot::{COLOURS, Line, log_log};
use crate::processor::Clocked;
use crate::stats::median;
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
const RECOMPUTED: usize = 5;

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

/// Medians of one query in milliseconds of processor time, commit included.
#[derive(Debug, Clone)]
pub struct Row {
    pub shape: &'static str,
    pub tables: usize,
    /// For each of [`CHANGES`].
    pub refresh_ms: Vec<f64>,
    /// The first after each set of changed tables, which plans: the slowest.
    pub first_ms: f64,
    pub recompute_ms: f64,
}

impl Row {
    /// The slowest refresh as a part of computing the query again.
    pub fn ratio(&self) -> f64 {
        self.refresh_ms.iter().copied().fold(0.0, f64::max) / self.recompute_ms
    }
}

/// By how much a table more costs in the widest joins than in the narrowest, all changed: 1 if the cost is linear. The
/// greatest of all shapes.
pub fn growth(rows: &[Row]) -> f64 {
    let per_table = |row: &Row| {
        let all = row.refresh_ms.last().copied().unwrap_or(f64::NAN);
        all / row.tables as f64
    };
    let of_shape = |(shape, _): &(&str, Query)| {
        let rows = || rows.iter().filter(|row| row.shape == *shape);
        let (least, most) = (
            rows().min_by_key(|r| r.tables)?,
            rows().max_by_key(|r| r.tables)?,
        );
        Some(per_table(most) / per_table(least))
    };
    SHAPES.iter().filter_map(of_shape).fold(0.0, f64::max)
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
    clocked: &Clocked,
    shape: &'static str,
    query: &str,
    tables: usize,
) -> Result<Row> {
    let session = &clocked.session;
    session
        .execute(&format!(
            "SELECT pgtrickle.create_stream_table('wide', {}, refresh_mode => 'DIFFERENTIAL', schedule => '24h');
             CREATE MATERIALIZED VIEW full_wide AS {query}",
            quote_literal(query)
        ))
        .await?;
    let mut refresh_ms = Vec::new();
    let mut first_ms = 0_f64;
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
            let ms = clocked
                .milliseconds("SELECT pgtrickle.refresh_stream_table('wide')")
                .await?;
            if round >= WARMING {
                times.push(ms);
            } else if round == 0 {
                first_ms = first_ms.max(ms);
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
        again.push(
            clocked
                .milliseconds("REFRESH MATERIALIZED VIEW full_wide")
                .await?,
        );
    }
    session
        .execute("DROP MATERIALIZED VIEW full_wide; SELECT pgtrickle.drop_stream_table('wide')")
        .await?;
    Ok(Row {
        shape,
        tables,
        refresh_ms,
        first_ms,
        recompute_ms: median(&again),
    })
}

/// The table, as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| join | tables | one changed, ms | half, ms | all, ms | all, per table | first, ms | recomputation, ms |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let all = row.refresh_ms.last().copied().unwrap_or(f64::NAN);
        let cells: Vec<String> = row.refresh_ms.iter().map(|ms| format!("{ms:.1}")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.1} | {:.1} |",
            row.shape,
            row.tables,
            cells.join(" | "),
            all / row.tables as f64,
            row.first_ms,
            row.recompute_ms
        );
    }
    text
}

/// Refreshes after changes of all tables against the number of tables.
pub fn plot(rows: &[Row]) -> String {
    let mut lines: Vec<Line> = Vec::new();
    for row in rows {
        let point = (
            row.tables as f64,
            row.refresh_ms.last().copied().unwrap_or(f64::NAN),
        );
        match lines.iter_mut().find(|line| line.name == row.shape) {
            Some(line) => line.points.push(point),
            None => lines.push(Line {
                name: row.shape.into(),
                colour: lines.len(),
                is_dashed: lines.len() >= COLOURS.len(),
                points: vec![point],
            }),
        }
    }
    log_log(
        "joined tables, one row of each changed",
        "ms of processor time",
        &lines,
    )
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
    fn what_a_table_costs_is_compared_between_the_widest_and_the_narrowest() {
        let row = |tables, all| Row {
            shape: SHAPES[0].0,
            tables,
            refresh_ms: vec![1.0, all],
            first_ms: 1.0,
            recompute_ms: 1.0,
        };
        assert_eq!(growth(&[row(4, 4.0), row(8, 1.0), row(20, 60.0)]), 3.0);
    }

    #[test]
    fn the_slowest_refresh_is_compared_with_recomputation() {
        let row = Row {
            shape: "chain",
            tables: 4,
            refresh_ms: vec![1.0, 2.0, 4.0],
            first_ms: 16.0,
            recompute_ms: 8.0,
        };
        assert_eq!(row.ratio(), 0.5);
        assert!(plot(std::slice::from_ref(&row)).contains(">chain</text>"));
        assert!(markdown(&[row]).contains("| chain | 4 | 1.0 | 2.0 | 4.0 | 1.00 | 16.0 | 8.0 |\n"));
    }
}

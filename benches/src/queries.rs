//! Well-known sets of queries: what a refresh takes after a small change, against computing the query again.

use crate::server;
use crate::stats::{median, time_ms};
use anyhow::{Result, ensure};
use harness::client::{Session, quote_literal};
use harness::cluster::Cluster;
use harness::oracle::Question;
use std::fmt::Write;
use std::rc::Rc;
use std::time::Instant;

/// Measured changes; one before them warms caches and plans.
const ROUNDS: usize = 5;

/// How often each query is computed again.
const RECOMPUTED: usize = 3;

/// Tables, queries over them, and changes.
#[allow(async_fn_in_trait, reason = "only ever used with one thread")]
pub trait Workload {
    /// Name and SQL.
    fn queries(&self) -> Vec<(&'static str, &'static str)>;
    /// Creates and fills the tables.
    async fn load(&mut self, session: &Session) -> Result<()>;
    /// Makes indexes beyond those that anybody has, if some of the queries gain by them.
    async fn index_further(&mut self, _session: &Session) -> Result<bool> {
        Ok(false)
    }
    /// Makes and commits the next change.
    async fn change(&mut self, session: &Session, round: usize) -> Result<()>;
}

/// One query.
#[derive(Debug, Clone)]
pub struct Row {
    pub query: String,
    /// Reading, compiling and creating, without filling: milliseconds.
    pub create_ms: f64,
    pub usual: Times,
    /// With further indexes, if there are any to be had.
    pub indexed: Option<Times>,
    /// Whether any change reached the query's tables.
    pub is_touched: bool,
}

/// Medians in milliseconds, commit included.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub refresh_ms: f64,
    pub recompute_ms: f64,
}

impl Times {
    /// How many times faster the refresh is.
    pub fn ratio(&self) -> f64 {
        self.recompute_ms / self.refresh_ms
    }
}

/// Loads, creates, changes and measures; every result is judged at the end.
pub async fn measure(session: &Session, workload: &mut impl Workload) -> Result<Vec<Row>> {
    workload.load(session).await?;
    session.execute("VACUUM ANALYZE").await?;
    let mut rows = create(session, &workload.queries()).await?;
    let usual = run(session, workload, &mut rows, 0).await?;
    for (row, times) in rows.iter_mut().zip(usual) {
        row.usual = times;
        eprintln!("{row:?}");
    }
    if workload.index_further(session).await? {
        let indexed = run(session, workload, &mut rows, ROUNDS + 1).await?;
        for (row, times) in rows.iter_mut().zip(indexed) {
            row.indexed = Some(times);
            eprintln!("{row:?}");
        }
    }
    for (name, sql) in workload.queries() {
        let question = Question::settled(session, &format!("q{name}"), sql).await?;
        let verdict = question.ask(session).await?;
        ensure!(verdict.is_exact(), "q{name} is {verdict}");
    }
    Ok(rows)
}

/// Makes changes, from this round on, and times what follows each, and then the queries by themselves.
async fn run(
    session: &Session,
    workload: &mut impl Workload,
    rows: &mut [Row],
    first_round: usize,
) -> Result<Vec<Times>> {
    session.execute("VACUUM ANALYZE").await?;
    let mut refreshes = vec![Vec::new(); rows.len()];
    for round in first_round..=first_round + ROUNDS {
        eprintln!("change {round}");
        workload.change(session, round).await?;
        for (row, times) in rows.iter_mut().zip(&mut refreshes) {
            let (took, action) = refresh(session, &row.query).await?;
            let is_maintained = ["DIFFERENTIAL", "NO_DATA"].contains(&action.as_str());
            ensure!(is_maintained, "{} was refreshed by {action}", row.query);
            row.is_touched |= action == "DIFFERENTIAL";
            if round > first_round {
                times.push(took);
            }
        }
        session.execute("VACUUM").await?;
    }
    let mut all = Vec::new();
    for (row, times) in rows.iter().zip(&refreshes) {
        let again = format!("REFRESH MATERIALIZED VIEW full_{}", row.query);
        let mut taken = Vec::new();
        for _ in 0..RECOMPUTED {
            taken.push(time_ms(session, &again).await?);
        }
        all.push(Times {
            refresh_ms: median(times),
            recompute_ms: median(&taken),
        });
    }
    Ok(all)
}

/// Measures in a database of this name on a server of its own, and prints the table under a title.
pub fn report<W: Workload>(
    database: &str,
    title: &str,
    workload: impl FnOnce(Rc<Cluster>) -> Result<W>,
) -> Result<()> {
    let rows = server::block_on(async {
        let cluster = Rc::new(server::start()?);
        let session = server::database(&cluster, database).await?;
        let mut workload = workload(Rc::clone(&cluster))?;
        measure(&session, &mut workload).await
    })?;
    println!("\n{title}\n\n{}", markdown(&rows));
    Ok(())
}

/// Every query as a filled stream table and as a materialized view without rows.
async fn create(session: &Session, queries: &[(&str, &str)]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, sql) in queries {
        let query = format!("q{name}");
        eprintln!("creating {query}");
        let create = format!(
            "SELECT pgtrickle.create_stream_table('{query}', {}, refresh_mode => 'DIFFERENTIAL',
                initialize => false)",
            quote_literal(sql)
        );
        let create_ms = time_ms(session, &create).await?;
        refresh(session, &query).await?;
        let view = format!("CREATE MATERIALIZED VIEW full_{query} AS {sql} WITH NO DATA");
        session.execute(&view).await?;
        rows.push(Row {
            query,
            create_ms,
            usual: Times {
                refresh_ms: f64::NAN,
                recompute_ms: f64::NAN,
            },
            indexed: None,
            is_touched: false,
        });
    }
    Ok(rows)
}

/// Milliseconds and action.
async fn refresh(session: &Session, query: &str) -> Result<(f64, String)> {
    let sql = format!("SELECT action FROM pgtrickle.refresh_stream_table('{query}')");
    let started = Instant::now();
    let action = session.scalar(&sql).await?;
    Ok((started.elapsed().as_secs_f64() * 1e3, action))
}

/// The table, as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text =
        String::from("| query | create, ms | refresh, ms | recomputation, ms | times faster |");
    let is_indexed = rows.iter().any(|row| row.indexed.is_some());
    if is_indexed {
        text += " refresh with further indexes, ms | recomputation, ms | times faster |";
    }
    text += "\n|---|---:|---:|---:|---:|";
    text += if is_indexed {
        "---:|---:|---:|\n"
    } else {
        "\n"
    };
    for row in rows {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "| {} | {:.0} |",
            row.query.to_uppercase(),
            row.create_ms
        );
        for times in [Some(row.usual), row.indexed].into_iter().flatten() {
            let _ = write!(
                text,
                " {:.1} | {:.1} | {:.1}{} |",
                times.refresh_ms,
                times.recompute_ms,
                times.ratio(),
                if row.is_touched { "" } else { " (untouched)" }
            );
        }
        text.push('\n');
    }
    let _ = write!(text, "\n{}", summary(rows, |row| Some(row.usual)));
    if is_indexed {
        let _ = write!(
            text,
            " With further indexes: {}",
            summary(rows, |row| row.indexed)
        );
    }
    text.push('\n');
    text
}

/// How many queries gain, and how much.
fn summary(rows: &[Row], times: impl Fn(&Row) -> Option<Times>) -> String {
    let ratios = |is_wanted: fn(&&Row) -> bool| -> Vec<f64> {
        let wanted = rows.iter().filter(is_wanted);
        wanted
            .filter_map(&times)
            .map(|times| times.ratio())
            .collect()
    };
    let (all, touched) = (ratios(|_| true), ratios(|row| row.is_touched));
    format!(
        "Faster on {} of {}; in the median of the {} that the changes touch, {:.1} times.",
        all.iter().filter(|ratio| **ratio > 1.0).count(),
        all.len(),
        touched.len(),
        median(&touched)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(query: &str, refresh_ms: f64, is_touched: bool) -> Row {
        Row {
            query: query.into(),
            create_ms: 1.0,
            usual: Times {
                refresh_ms,
                recompute_ms: 10.0,
            },
            indexed: None,
            is_touched,
        }
    }

    #[test]
    fn the_median_is_of_touched_queries_only() {
        let text = markdown(&[
            row("q1", 1.0, true),
            row("q2", 0.1, false),
            row("q3", 20.0, true),
        ]);
        assert!(text.contains("| Q2 | 1 | 0.1 | 10.0 | 100.0 (untouched) |\n"));
        assert!(text.contains(
            "Faster on 2 of 3; in the median of the 2 that the changes touch, 5.2 times"
        ));
    }

    #[test]
    fn further_indexes_have_columns_and_a_summary_of_their_own() {
        let mut indexed = row("q1", 20.0, true);
        indexed.indexed = Some(Times {
            refresh_ms: 2.0,
            recompute_ms: 8.0,
        });
        let text = markdown(&[indexed]);
        assert!(text.contains("| Q1 | 1 | 20.0 | 10.0 | 0.5 | 2.0 | 8.0 | 4.0 |\n"));
        assert!(text.contains("With further indexes: Faster on 1 of 1"));
    }
}

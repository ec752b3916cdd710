//! Many stream tables: what one more costs to create, what each costs to refresh where they read one source, and what
//! they cost a command on something else.

use crate::processor::Clocked;
use crate::server;
use crate::stats::{median, time_ms};
use anyhow::{Result, ensure};
use harness::client::Session;
use harness::cluster::Cluster;
use harness::oracle::Question;
use std::fmt::Write as _;
use std::time::Duration;

/// Stream tables over one source that are refreshed together.
const READERS: usize = 200;
/// Stream tables while commands on another table are measured.
const MANY: usize = 1_000;
/// Rows of the source, and how many of them change.
const ROWS: usize = 20_000;
const CHANGED: usize = 100;
/// Measured changes, after some that warm plans and teach the scheduler costs.
const ROUNDS: usize = 15;
const WARMING: usize = 10;
/// Created tables whose median counts.
const SAMPLE: usize = 25;
/// Measured commands of each kind, after some that fill caches.
const COMMANDS: usize = 60;

/// A ratio that is gated.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// As `thresholds.toml` has it.
    pub name: &'static str,
    /// What is compared, in its unit.
    pub candidate: f64,
    pub baseline: f64,
    pub unit: &'static str,
}

impl Figure {
    pub fn ratio(&self) -> f64 {
        self.candidate / self.baseline
    }
}

fn query(index: usize) -> String {
    format!("SELECT k, sum(v) AS s, count(*) AS n FROM src WHERE v > {index} GROUP BY k")
}

async fn create(session: &Session, index: usize) -> Result<f64> {
    let query = query(index);
    let sql = format!(
        "SELECT pgtrickle.create_stream_table('s{index}', '{query}', refresh_mode => 'DIFFERENTIAL')"
    );
    time_ms(session, &sql).await
}

/// Measures everything.
pub async fn measure(cluster: &Cluster) -> Result<Vec<Figure>> {
    let session = server::database(cluster, "many").await?;
    let admin = Session::connect(cluster, "postgres").await?;
    admin.execute("CREATE DATABASE without").await?;
    session
        .execute(&format!(
            "CREATE TABLE src (id int PRIMARY KEY, k int NOT NULL, v int NOT NULL);
             INSERT INTO src SELECT i, i % 20, i FROM generate_series(1, {ROWS}) i;
             CREATE INDEX ON src (k)"
        ))
        .await?;
    session.execute("VACUUM ANALYZE src").await?;
    let mut created = Vec::with_capacity(MANY);
    for index in 0..READERS {
        created.push(create(&session, index).await?);
    }
    let mut figures = vec![fan_out(&session).await?];
    for index in READERS..MANY {
        created.push(create(&session, index).await?);
    }
    figures.push(Figure {
        name: "creating the 800th stream table",
        candidate: median(&created[800 - SAMPLE / 2..][..SAMPLE]),
        baseline: median(&created[1..][..SAMPLE]),
        unit: "ms",
    });
    figures.extend(commands(cluster).await?);
    Ok(figures)
}

/// What a refresh of one of many over the same source takes, against that of one alone, commit included.
async fn fan_out(session: &Session) -> Result<Figure> {
    // From the first start to the last end: what the scheduler and commits take between groups counts, too.
    let spent = format!(
        "SELECT extract(epoch FROM max(finished_at) - min(started_at))::float8 * 1e3 / {READERS}
         FROM (SELECT * FROM pgtrickle.pgt_refresh_history ORDER BY history_id DESC LIMIT {READERS}) h"
    );
    let done = "SELECT count(*) FROM pgtrickle.pgt_refresh_history";
    let mut times = Vec::new();
    for round in 0..WARMING + ROUNDS {
        let before: usize = session.scalar(done).await?.parse()?;
        session.execute(&change(round)).await?;
        while session.scalar(done).await?.parse::<usize>()? < before + READERS {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if round >= WARMING {
            times.push(session.scalar(&spent).await?.parse()?);
        }
    }
    for index in [0, READERS / 2, READERS - 1] {
        let verdict = Question::query(&format!("s{index}"), &query(index))
            .ask(session)
            .await?;
        ensure!(verdict.is_exact(), "s{index} is {verdict}");
    }
    session
        .execute(
            "CREATE TABLE src_alone (id int PRIMARY KEY, k int NOT NULL, v int NOT NULL);
             INSERT INTO src_alone TABLE src; CREATE INDEX ON src_alone (k);
             SELECT pgtrickle.create_stream_table('alone', 'SELECT k, sum(v) AS s, count(*) AS n FROM src_alone WHERE v > 1 GROUP BY k',
                 refresh_mode => 'DIFFERENTIAL', schedule => '24h')",
        )
        .await?;
    session.execute("VACUUM ANALYZE src_alone").await?;
    let mut alone = Vec::new();
    for round in 0..WARMING + ROUNDS {
        session
            .execute(&change(round).replace("src", "src_alone"))
            .await?;
        let ms = time_ms(session, "SELECT pgtrickle.refresh_stream_table('alone')").await?;
        if round >= WARMING {
            alone.push(ms);
        }
    }
    Ok(Figure {
        name: "fan-out of 200",
        candidate: median(&times),
        baseline: median(&alone),
        unit: "ms",
    })
}

fn change(round: usize) -> String {
    let first = round * CHANGED;
    format!(
        "UPDATE src SET v = v + 1 WHERE id > {first} AND id <= {}",
        first + CHANGED
    )
}

/// Commands on a table that no stream table reads, against those in a database without the extension: processor time.
async fn commands(cluster: &Cluster) -> Result<Vec<Figure>> {
    let with = Clocked::connect(cluster, "many").await?;
    let without = Clocked::connect(cluster, "without").await?;
    let kinds = [
        (
            "CREATE TABLE beside 1,000",
            "CREATE TABLE other (id int PRIMARY KEY, a text, b numeric)",
        ),
        (
            "ALTER TABLE beside 1,000",
            "ALTER TABLE other ADD COLUMN c int",
        ),
        ("DROP TABLE beside 1,000", "DROP TABLE other"),
    ];
    let mut times = vec![(Vec::new(), Vec::new()); kinds.len()];
    for round in 0..COMMANDS + 5 {
        for session in [&with, &without] {
            for ((_, sql), (ours, theirs)) in kinds.iter().zip(&mut times) {
                let ms = session.milliseconds(sql).await?;
                if round >= 5 {
                    let times = if std::ptr::eq(session, &with) {
                        ours
                    } else {
                        theirs
                    };
                    times.push(ms);
                }
            }
        }
    }
    let figures = kinds
        .iter()
        .zip(times)
        .map(|((name, _), (ours, theirs))| Figure {
            name,
            candidate: median(&ours),
            baseline: median(&theirs),
            unit: "ms",
        });
    Ok(figures.collect())
}

/// The table, as Markdown.
pub fn markdown(figures: &[Figure]) -> String {
    let mut text = String::from("| what | with many | baseline | factor |\n|---|---:|---:|---:|\n");
    for figure in figures {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {:.2} {unit} | {:.2} {unit} | {:.2} |",
            figure.name,
            figure.candidate,
            figure.baseline,
            figure.ratio(),
            unit = figure.unit
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_printed_with_its_factor() {
        let figure = Figure {
            name: "fan-out of 200",
            candidate: 0.5,
            baseline: 2.0,
            unit: "ms",
        };
        assert!(markdown(&[figure]).contains("| fan-out of 200 | 0.50 ms | 2.00 ms | 0.25 |\n"));
    }
}

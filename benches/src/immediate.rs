//! What a statement costs that IMMEDIATE stream tables follow, and what is left of the throughput when
//! writers wait for each other.

use crate::creation::wholes;
use crate::data;
use crate::stats::{median, paired_ratio, time_ms};
use crate::views::VIEWS;
use crate::writers::{crowd, update};
use anyhow::{Result, ensure};
use harness::client::Session;
use harness::cluster::Cluster;
use std::fmt::Write;
use std::time::Duration;

/// Unmeasured rounds that warm caches and plans.
const WARM_UP: usize = 20;
/// Writers of the throughput measurement.
const CLIENTS: usize = 8;
/// Rounds of each statement over many rows.
const BULK_ROUNDS: usize = 3;

/// A single-row UPDATE, commit included, in milliseconds.
#[derive(Debug, Clone)]
pub struct Statement {
    pub letter: char,
    pub alone_ms: f64,
    pub followed_ms: f64,
    /// The median of the ratios of the pairs.
    pub ratio: f64,
}

/// Transactions per second of all writers.
#[derive(Debug, Clone, Copy)]
pub struct Throughput {
    pub alone_per_s: f64,
    pub followed_per_s: f64,
}

/// Creates the tables, and a twin of the larger one that nothing follows.
pub async fn prepare(session: &Session, rows: u64) -> Result<()> {
    data::create(session, rows).await?;
    session
        .execute("CREATE TABLE twin (LIKE big INCLUDING ALL); INSERT INTO twin TABLE big")
        .await?;
    session.execute("VACUUM ANALYZE twin").await?;
    Ok(())
}

/// Measures each view by itself.
pub async fn statements(session: &Session, rows: u64, repeat: usize) -> Result<Vec<Statement>> {
    let mut measured = Vec::new();
    for view in VIEWS {
        let name = view.stream_table();
        let create = format!(
            "SELECT pgtrickle.create_stream_table('{name}', $q${}$q$, refresh_mode => 'IMMEDIATE')",
            view.query
        );
        session.execute(&create).await?;
        let (mut alone, mut followed) = (Vec::new(), Vec::new());
        for round in 0..WARM_UP + repeat {
            let id = 1 + (round as u64 * 7919) % rows;
            let update = |table: &str| update(table, id);
            let first = time_ms(session, &update("twin")).await?;
            let second = time_ms(session, &update("big")).await?;
            if round >= WARM_UP {
                alone.push(first);
                followed.push(second);
            }
        }
        let differences = session.scalar(&view.differences(&name)).await?;
        ensure!(differences == "0", "{name} has {differences} wrong rows");
        session
            .execute(&format!("SELECT pgtrickle.drop_stream_table('{name}')"))
            .await?;
        measured.push(Statement {
            letter: view.letter,
            alone_ms: median(&alone),
            followed_ms: median(&followed),
            ratio: paired_ratio(&followed, &alone),
        });
    }
    Ok(measured)
}

/// Measures several writers, with the aggregate over one table that has most groups.
pub async fn throughput(
    cluster: &Cluster,
    database: &str,
    rows: u64,
    duration: Duration,
) -> Result<Throughput> {
    let session = Session::connect(cluster, database).await?;
    let alone_per_s = crowd(cluster, database, "twin", rows, CLIENTS, duration).await?;
    session
        .execute(
            "SELECT pgtrickle.create_stream_table('by_key',
                 'SELECT small_id, count(*) AS n, sum(amount) AS total FROM big GROUP BY small_id',
                 refresh_mode => 'IMMEDIATE')",
        )
        .await?;
    let followed_per_s = crowd(cluster, database, "big", rows, CLIENTS, duration).await?;
    session
        .execute("SELECT pgtrickle.drop_stream_table('by_key')")
        .await?;
    Ok(Throughput {
        alone_per_s,
        followed_per_s,
    })
}

/// One statement over a twentieth of the rows.
#[derive(Debug, Clone)]
pub struct Bulk {
    pub name: &'static str,
    /// What following adds to the statement.
    pub added_ms: f64,
    pub materialized_ms: f64,
    /// The median of the ratios of the rounds.
    pub ratio: f64,
}

/// Statements that change a twentieth of the rows under views whose groups and partitions they touch.
const BULKS: [(&str, &str, &str); 3] = [
    (
        "DELETE, fine agg",
        "fine agg",
        "DELETE FROM {table} WHERE id % 20 = 3",
    ),
    (
        "DELETE, window",
        "window",
        "DELETE FROM {table} WHERE id % 20 = 3",
    ),
    (
        "UPDATE, window",
        "window",
        "UPDATE {table} SET amount = amount + 7 WHERE id % 20 = 3",
    ),
];

/// Measures them, each rolled back.
pub async fn bulks(session: &Session) -> Result<Vec<Bulk>> {
    let mut measured = Vec::new();
    for (name, view, statement) in BULKS {
        let mut wholes = wholes().into_iter();
        let Some(whole) = wholes.find(|whole| whole.name == view) else {
            continue;
        };
        session
            .execute(&format!(
                "SELECT pgtrickle.create_stream_table('ours', $q${0}$q$, refresh_mode => 'IMMEDIATE');
                 CREATE MATERIALIZED VIEW theirs AS {0}; CREATE UNIQUE INDEX ON theirs ({1})",
                whole.query, whole.key
            ))
            .await?;
        session.execute("VACUUM ANALYZE").await?;
        let (mut added, mut materialized) = (Vec::new(), Vec::new());
        for _ in 0..BULK_ROUNDS {
            let mut took = Vec::new();
            for table in ["twin", "big"] {
                session.execute("BEGIN").await?;
                took.push(time_ms(session, &statement.replace("{table}", table)).await?);
                if table == "big" {
                    let differences = format!(
                        "SELECT count(*) FROM ((TABLE ours EXCEPT ALL ({0}))
                             UNION ALL (({0}) EXCEPT ALL TABLE ours)) d",
                        whole.query
                    );
                    let differences = session.scalar(&differences).await?;
                    ensure!(differences == "0", "{name}: {differences} wrong rows");
                }
                session.execute("ROLLBACK").await?;
            }
            for table in ["twin", "big", "ours"] {
                session.execute(&format!("VACUUM {table}")).await?;
            }
            added.push(took[1] - took[0]);
            materialized.push(time_ms(session, "REFRESH MATERIALIZED VIEW theirs").await?);
        }
        session
            .execute("DROP MATERIALIZED VIEW theirs; SELECT pgtrickle.drop_stream_table('ours')")
            .await?;
        measured.push(Bulk {
            name,
            added_ms: median(&added),
            materialized_ms: median(&materialized),
            ratio: paired_ratio(&added, &materialized),
        });
    }
    Ok(measured)
}

/// The tables.
pub fn markdown(
    rows: u64,
    statements: &[Statement],
    bulks: &[Bulk],
    throughput: Throughput,
) -> String {
    let mut text = format!(
        "Single-row UPDATE of {rows} rows, commit included; medians in ms.\n\n\
         | followed by | alone | followed | factor |\n|---|---:|---:|---:|\n"
    );
    for statement in statements {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| ({}) | {:.2} | {:.2} | {:.2} |",
            statement.letter, statement.alone_ms, statement.followed_ms, statement.ratio
        );
    }
    text.push_str(
        "\n| one statement over 5 % of the rows | added, ms | recomputation, ms | factor |\n|---|---:|---:|---:|\n",
    );
    for bulk in bulks {
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.0} | {:.2} |",
            bulk.name, bulk.added_ms, bulk.materialized_ms, bulk.ratio
        );
    }
    let Throughput {
        alone_per_s,
        followed_per_s,
    } = throughput;
    let _ = writeln!(
        text,
        "\n{CLIENTS} writers: {alone_per_s:.0} transactions per second alone, {followed_per_s:.0} followed by an \
         aggregate ({:.0} %).",
        100.0 * followed_per_s / alone_per_s
    );
    text
}

/// The ratios, by the name of the case.
pub fn ratios(bulks: &[Bulk]) -> Vec<(String, f64)> {
    let named = |bulk: &Bulk| (format!("immediate {}", bulk.name), bulk.ratio);
    bulks.iter().map(named).collect()
}

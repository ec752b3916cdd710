//! What a statement costs that IMMEDIATE stream tables follow, and what is left of the throughput when
//! writers wait for each other.

use crate::data;
use crate::stats::{median, paired_ratio, time_ms};
use crate::views::VIEWS;
use anyhow::{Result, ensure};
use harness::client::Session;
use harness::cluster::Cluster;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Unmeasured rounds that warm caches and plans.
const WARM_UP: usize = 20;
/// Writers of the throughput measurement.
const CLIENTS: usize = 8;

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
    let alone_per_s = crowd(cluster, database, "twin", rows, duration).await?;
    session
        .execute(
            "SELECT pgtrickle.create_stream_table('by_key',
                 'SELECT small_id, count(*) AS n, sum(amount) AS total FROM big GROUP BY small_id',
                 refresh_mode => 'IMMEDIATE')",
        )
        .await?;
    let followed_per_s = crowd(cluster, database, "big", rows, duration).await?;
    session
        .execute("SELECT pgtrickle.drop_stream_table('by_key')")
        .await?;
    Ok(Throughput {
        alone_per_s,
        followed_per_s,
    })
}

async fn crowd(
    cluster: &Cluster,
    database: &str,
    table: &'static str,
    rows: u64,
    duration: Duration,
) -> Result<f64> {
    let (done, is_over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut writers = Vec::new();
    for number in 0..CLIENTS as u64 {
        let session = Session::connect(cluster, database).await?;
        let (done, is_over) = (Arc::clone(&done), Arc::clone(&is_over));
        writers.push(tokio::spawn(async move {
            let mut id = number;
            while !is_over.load(Ordering::Relaxed) {
                id = (id + 104_729) % rows;
                session.execute(&update(table, id + 1)).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        }));
    }
    tokio::time::sleep(duration).await;
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / duration.as_secs_f64())
}

fn update(table: &str, id: u64) -> String {
    format!("UPDATE {table} SET amount = amount + 7 WHERE id = {id}")
}

/// The tables.
pub fn markdown(rows: u64, statements: &[Statement], throughput: Throughput) -> String {
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

//! What is left of the throughput of writers whose changes stream tables take in: under the scheduler, and at once.

use crate::settings::is_wanted;
use crate::stats::median;
use crate::views::{VIEWS, View};
use anyhow::{Context, Result, ensure};
use harness::client::Session;
use harness::cluster::Cluster;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Sessions that update one row per transaction.
const CLIENTS: usize = 4;
/// Measurements with and without, in turns.
const ROUNDS: usize = 3;
/// How often the age of what the stream table shows is measured per second.
const PROBES_PER_S: u64 = 10;

/// How stream tables take changes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By the scheduler, on the `calculated` schedule.
    Calculated,
    /// With the statement.
    Immediate,
}

/// What was measured of one view.
#[derive(Debug, Clone)]
pub struct Kept {
    pub letter: char,
    pub mode: Mode,
    pub alone_per_s: f64,
    pub followed_per_s: f64,
    /// Median of the shares of the rounds.
    pub share: f64,
    /// From commit to visible under this load; of the keyed join alone, whose rows tell.
    pub visible_ms_p99: Option<f64>,
}

/// Measures each view by itself on tables of [`crate::immediate::prepare`]. `letters` are the views.
pub async fn measure(
    cluster: &Cluster,
    database: &str,
    rows: u64,
    mode: Mode,
    letters: &str,
    duration: Duration,
) -> Result<Vec<Kept>> {
    let session = Session::connect(cluster, database).await?;
    let (name, schedule) = match mode {
        Mode::Calculated => ("DIFFERENTIAL", "calculated"),
        Mode::Immediate => ("IMMEDIATE", "calculated"),
    };
    let mut measured = Vec::new();
    let wanted = |view: &&View| letters.contains(view.letter) && is_wanted(view.letter);
    for view in VIEWS.iter().filter(wanted) {
        let table = view.stream_table();
        let create = format!(
            "SELECT pgtrickle.create_stream_table('{table}', $q${}$q$, '{schedule}', '{name}')",
            view.query
        );
        session.execute(&create).await?;
        session.execute("VACUUM ANALYZE").await?;
        let crowd = |of: &'static str| crowd(cluster, database, of, rows, CLIENTS, duration);
        let (mut alone, mut followed, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        let mut ages = Vec::new();
        for _ in 0..ROUNDS {
            let before = crowd("twin").await?;
            let with = if mode == Mode::Calculated && view.letter == 'c' {
                let probe = probe(cluster, database, &table, duration);
                let (with, seen) = tokio::join!(crowd("big"), probe);
                ages.extend(seen?);
                with?
            } else {
                crowd("big").await?
            };
            alone.push(before);
            followed.push(with);
            shares.push(with / before);
        }
        session
            .execute(&format!("SELECT pgtrickle.refresh_stream_table('{table}')"))
            .await?;
        let differences = session.scalar(&view.differences(&table)).await?;
        ensure!(differences == "0", "{table} has {differences} wrong rows");
        session
            .execute(&format!("SELECT pgtrickle.drop_stream_table('{table}')"))
            .await?;
        ages.sort_by(f64::total_cmp);
        let kept = Kept {
            letter: view.letter,
            mode,
            alone_per_s: median(&alone),
            followed_per_s: median(&followed),
            share: median(&shares),
            visible_ms_p99: ages.get(ages.len() * 99 / 100).copied(),
        };
        eprintln!("{kept:?}");
        measured.push(kept);
    }
    Ok(measured)
}

/// Transactions per second of so many writers.
pub async fn crowd(
    cluster: &Cluster,
    database: &str,
    table: &'static str,
    rows: u64,
    clients: usize,
    duration: Duration,
) -> Result<f64> {
    let (done, is_over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut writers = Vec::new();
    for number in 0..clients as u64 {
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

/// A one-row UPDATE.
pub fn update(table: &str, id: u64) -> String {
    format!("UPDATE {table} SET amount = amount + 7 WHERE id = {id}")
}

/// Milliseconds from the commits of single changes until the keyed join shows them.
async fn probe(
    cluster: &Cluster,
    database: &str,
    stream_table: &str,
    duration: Duration,
) -> Result<Vec<f64>> {
    let session = Session::connect(cluster, database).await?;
    let id = session
        .scalar(&format!("SELECT max(id) FROM {stream_table}"))
        .await?;
    let change = format!("UPDATE big SET amount = amount + 1 WHERE id = {id} RETURNING amount");
    let (mut ages, began) = (Vec::new(), Instant::now());
    while began.elapsed() < duration {
        let row = session.rows(&change).await?;
        let new = row.first().and_then(|row| row.first()?.clone());
        let new = new.context("the row is gone")?;
        let committed = Instant::now();
        // A writer may have added to it since.
        let shown = format!("SELECT amount >= {new} FROM {stream_table} WHERE id = {id}");
        while session.scalar(&shown).await? != "t" {
            ensure!(
                committed.elapsed() < Duration::from_secs(30),
                "a change does not show"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ages.push(committed.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(1000 / PROBES_PER_S)).await;
    }
    Ok(ages)
}

/// The table.
pub fn markdown(measured: &[Kept]) -> String {
    let mut text = format!(
        "{CLIENTS} writers, one-row UPDATE.\n\n\
         | stream table | mode | alone/s | followed/s | kept | commit → visible p99 |\n|---|---|---:|---:|---:|---:|\n"
    );
    for kept in measured {
        let mode = match kept.mode {
            Mode::Calculated => "calculated",
            Mode::Immediate => "IMMEDIATE",
        };
        let age = kept.visible_ms_p99;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| ({}) | {mode} | {:.0} | {:.0} | {:.0} % | {} |",
            kept.letter,
            kept.alone_per_s,
            kept.followed_per_s,
            100.0 * kept.share,
            age.map_or(String::new(), |ms| format!("{ms:.0} ms"))
        );
    }
    text
}

/// The ratios, by the name of the case: writers lose at most so much.
pub fn ratios(measured: &[Kept]) -> Vec<(String, f64)> {
    let mut ratios = Vec::new();
    for kept in measured {
        let case = match kept.mode {
            Mode::Calculated => "writers",
            Mode::Immediate => "writers immediate",
        };
        ratios.push((format!("{case} {}", kept.letter), 1.0 / kept.share));
        if let Some(ms) = kept.visible_ms_p99 {
            ratios.push((format!("visible {}", kept.letter), ms / 50.0));
        }
    }
    ratios
}

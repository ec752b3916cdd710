//! `cargo xtask demo`: stream tables over TPC-H data, and the proof that they follow every change.
//!
//! A recomputation is the defining query run by `EXPLAIN (ANALYZE, TIMING OFF)`: its rows are made and
//! thrown away, so what storing them would cost is left out in its favour. A refresh is timed from
//! here, commit included. The oracle then compares the stream table with its query in one snapshot.

mod live;
mod plot;
mod queries;
mod report;
mod workload;

use crate::build;
use crate::cluster::{self, DATABASE};
use crate::paths;
use crate::setup;
use crate::ui::Steps;
use anyhow::{Context, Result};
use harness::client::{Session, quote_literal};
use harness::cluster::Cluster;
use harness::oracle;
use harness::tpch::{self, NewOrders};
use queries::{STREAM_TABLES, StreamTable};
use report::{Live, Measurement, Outcome};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Options of the demo.
#[derive(clap::Args)]
pub struct Options {
    /// TPC-H scale factor; 0.1 is 600,000 lineitems
    #[arg(long, default_value_t = 0.1)]
    sf: f64,
    /// How many batches of changes, each larger than the one before
    #[arg(long, default_value_t = 8)]
    batches: usize,
    /// How long writers run in the live part, in seconds; 0 leaves it out
    #[arg(long, default_value_t = 10)]
    live_seconds: u64,
    /// Build without optimisation: quicker to start, slower to refresh
    #[arg(long)]
    debug: bool,
}

impl Options {
    /// Small and quick, to see that everything still works together.
    pub fn small() -> Self {
        Self {
            sf: 0.01,
            batches: 4,
            live_seconds: 3,
            debug: true,
        }
    }
}

/// Sets up, loads, changes, refreshes, checks. Tells whether everything was exact.
pub fn run(options: &Options) -> Result<bool> {
    let build = if options.debug {
        build::Options::default()
    } else {
        build::Options::demo()
    };
    let machine = match setup::present() {
        Some(machine) => machine,
        None => {
            let _ahead = build::Ahead::begin(&build);
            setup::run()?
        }
    };
    let mut settings = vec![("shared_buffers", "512MB"), ("max_wal_size", "4GB")];
    settings.extend(live::SETTINGS);
    let cluster = cluster::start(&machine, &build, &settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(show(&cluster, options))
}

async fn show(cluster: &Cluster, options: &Options) -> Result<bool> {
    let session = Session::connect(cluster, DATABASE).await?;
    let mut wrong = prepare(cluster, &session, options.sf).await?;

    let all_orders: u64 = session
        .scalar("SELECT count(*) FROM orders")
        .await?
        .parse()?;
    let mut new_orders = NewOrders::new(options.sf);
    let mut outcomes = Vec::new();
    for batch in workload::batches(options.batches, all_orders) {
        let changes = workload::apply(cluster, &session, &mut new_orders, batch).await?;
        println!(
            "\nbatch {} of {}: {} rows inserted, {} deleted, {} updated",
            batch.number, options.batches, changes.inserted, changes.deleted, changes.updated
        );
        let mut live = Live::new();
        let mut measurements = Vec::new();
        for stream_table in STREAM_TABLES {
            measurements.push(measure(&session, stream_table).await?);
            let complete = measurements.len() == STREAM_TABLES.len();
            live.show(&report::batch_table(&measurements), complete);
        }
        wrong += measurements.iter().filter(|m| m.verdict.is_err()).count();
        outcomes.push(Outcome {
            changes,
            measurements,
        });
    }
    let batches_are_well = summarise(&session, &outcomes, wrong).await?;
    let live_is_well = match options.live_seconds {
        0 => true,
        seconds => live::show(cluster, &session, Duration::from_secs(seconds)).await?,
    };
    Ok(batches_are_well && live_is_well)
}

/// Loads the data and creates the stream tables; returns how many of them are wrong at once.
async fn prepare(cluster: &Cluster, session: &Session, scale: f64) -> Result<usize> {
    let mut steps = Steps::new(2 + STREAM_TABLES.len());
    session.execute(tpch::TABLES).await?;
    steps.step(&format!("TPC-H data, scale factor {scale}"), |progress| {
        tpch::load(cluster, DATABASE, scale, |table| progress.detail(table))?;
        Ok(((), "eight tables loaded".to_owned()))
    })?;
    let started = Instant::now();
    session.execute(tpch::INDEXES).await?;
    session.execute("VACUUM ANALYZE").await?;
    steps.done("indexes and statistics", "done", started);

    let mut wrong = 0;
    for stream_table in STREAM_TABLES {
        let started = Instant::now();
        let sql = format!(
            "SELECT pgtrickle.create_stream_table({}, {})",
            quote_literal(stream_table.name),
            quote_literal(stream_table.query)
        );
        session
            .execute(&sql)
            .await
            .with_context(|| format!("could not create {}", stream_table.name))?;
        let verdict = oracle::check(session, stream_table.name).await?;
        wrong += usize::from(!verdict.is_exact());
        steps.done(
            &format!("stream table {}", stream_table.name),
            &verdict.to_string(),
            started,
        );
    }
    session.execute("VACUUM ANALYZE").await?;
    Ok(wrong)
}

async fn measure(session: &Session, stream_table: &StreamTable) -> Result<Measurement> {
    let started = Instant::now();
    let result = session
        .table(&format!(
            "SELECT * FROM pgtrickle.refresh_stream_table({})",
            quote_literal(stream_table.name)
        ))
        .await
        .with_context(|| format!("could not refresh {}", stream_table.name))?;
    let refresh_ms = started.elapsed().as_secs_f64() * 1e3;
    let text = |column: &str| result.value(0, column).unwrap_or_default().to_owned();
    let number = |column: &str| text(column).parse().unwrap_or(0);
    let verdict = oracle::check(session, stream_table.name).await?;
    Ok(Measurement {
        stream_table: stream_table.name,
        action: text("action"),
        inserted: number("rows_inserted"),
        updated: number("rows_updated"),
        deleted: number("rows_deleted"),
        refresh_ms,
        recompute_ms: recompute(session, stream_table).await?,
        verdict: if verdict.is_exact() {
            Ok(verdict.wanted)
        } else {
            Err(verdict.to_string())
        },
    })
}

/// How long the server takes to plan the query and make all of its rows.
async fn recompute(session: &Session, stream_table: &StreamTable) -> Result<f64> {
    let plan = session
        .rows(&format!(
            "EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, SUMMARY ON) {}",
            stream_table.query
        ))
        .await?;
    let time = |label: &str| -> Option<f64> {
        plan.iter()
            .filter_map(|row| row.first()?.as_deref())
            .find_map(|line| line.trim().strip_prefix(label)?.trim().strip_suffix(" ms"))
            .and_then(|ms| ms.parse().ok())
    };
    match (time("Planning Time:"), time("Execution Time:")) {
        (Some(planning), Some(execution)) => Ok(planning + execution),
        _ => anyhow::bail!("EXPLAIN shows no times for {}", stream_table.name),
    }
}

async fn summarise(session: &Session, outcomes: &[Outcome], wrong: usize) -> Result<bool> {
    let folder = paths::target().join("demo");
    let names: Vec<&str> = STREAM_TABLES.iter().map(|table| table.name).collect();
    let titles: Vec<_> = STREAM_TABLES
        .iter()
        .map(|table| (table.name, table.title))
        .collect();
    println!(
        "\nmedians of {} batches\n{}",
        outcomes.len(),
        report::summary_table(outcomes, &titles)
    );
    let plot = folder.join("refresh.svg");
    plot::write(&plot, outcomes, &names)?;
    println!("plot: {}", plot.display());
    println!(
        "plans: {}",
        explain(session, folder.join("explain")).await?.display()
    );

    let checks: usize = outcomes.iter().map(|o| o.measurements.len()).sum();
    let total = |value: fn(&Outcome) -> f64| outcomes.iter().map(value).sum::<f64>() / 1e3;
    println!(
        "{} refreshes took {:.2} s, recomputing as often {:.2} s",
        checks,
        total(Outcome::refresh_ms),
        total(Outcome::recompute_ms)
    );
    if wrong == 0 {
        println!("every stream table was exact after every batch");
        Ok(true)
    } else {
        println!("{wrong} verdicts were WRONG");
        Ok(false)
    }
}

/// Keeps what the extension says of each stream table: operator tree, nodes, delta statements.
async fn explain(session: &Session, folder: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&folder)?;
    for stream_table in STREAM_TABLES {
        let rows = session
            .rows(&format!(
                "SELECT * FROM pgtrickle.explain_st({})",
                quote_literal(stream_table.name)
            ))
            .await?;
        let lines: Vec<String> = rows
            .iter()
            .map(|row| {
                let cells: Vec<&str> = row.iter().flatten().map(String::as_str).collect();
                cells.join(": ")
            })
            .collect();
        std::fs::write(
            folder.join(format!("{}.txt", stream_table.name)),
            lines.join("\n") + "\n",
        )?;
    }
    Ok(folder)
}

//! The live part: writers run, nobody calls for a refresh, and the server is stopped in the middle.
//!
//! Each transaction changes one line of an order that is open, and so one row of `open_lines`: the commit
//! times that the server keeps tell how long it took to show. All other stream tables follow as well.

use super::queries::STREAM_TABLES;
use crate::cluster::DATABASE;
use crate::ui;
use anyhow::{Context, Result, bail};
use harness::client::Session;
use harness::cluster::{Cluster, StopMode};
use harness::latency::{self, Load};
use harness::oracle;
use harness::runtime::{wait_for, wait_for_value};
use std::time::{Duration, Instant};

/// What the server needs for it. Until the live part begins, refreshes are called for and timed.
pub const SETTINGS: [(&str, &str); 4] = [
    ("shared_preload_libraries", "pg_trickle"),
    ("max_worker_processes", "32"),
    ("track_commit_timestamp", "on"),
    ("pg_trickle.enabled", "off"),
];

const RATE_PER_S: u64 = 50;
const WRITERS: u64 = 2;
/// How long the second load runs before the drain.
const BEFORE_STOP: Duration = Duration::from_secs(2);
/// The second load would run for so long, were the server not stopped.
const SECOND_LOAD: Duration = Duration::from_secs(120);

const PENDING: &str = "SELECT coalesce(sum(pending_rows), 0) FROM pgtrickle.change_buffer_sizes()";

fn load(duration: Duration) -> Load {
    Load {
        rate_per_s: RATE_PER_S,
        duration,
        writers: WRITERS,
    }
}

fn change(number: u64) -> String {
    format!(
        "UPDATE lineitem l SET l_extendedprice = l_extendedprice + 1
         FROM live_line t WHERE t.number = {number}
           AND l.l_orderkey = t.l_orderkey AND l.l_linenumber = t.l_linenumber"
    )
}

/// Shows it; tells whether all went well.
pub async fn show(cluster: &Cluster, session: &Session, duration: Duration) -> Result<bool> {
    println!("\nlive: {RATE_PER_S} transactions per second, refreshed by the scheduler");
    session
        .execute("ALTER SYSTEM SET pg_trickle.enabled = on")
        .await?;
    session.execute("SELECT pg_reload_conf()").await?;
    let lines = RATE_PER_S * duration.max(SECOND_LOAD).as_secs();
    session
        .execute(&format!(
            "CREATE TABLE live_line AS
                 SELECT row_number() OVER (ORDER BY hashint8(l_orderkey), l_linenumber) - 1 AS number,
                        l_orderkey, l_linenumber
                 FROM lineitem WHERE l_linestatus = 'O' LIMIT {lines};
             ALTER TABLE live_line ADD PRIMARY KEY (number)"
        ))
        .await?;
    follow_up(session).await?;

    let sent = latency::run(cluster, DATABASE, load(duration), change).await?;
    follow_up(session).await?;
    let latencies = latency::judge(
        session,
        &sent,
        "SELECT t.number, pg_xact_commit_timestamp(l.xmin), pg_xact_commit_timestamp(o.xmin)
         FROM live_line t JOIN lineitem l USING (l_orderkey, l_linenumber)
         JOIN open_lines o USING (l_orderkey, l_linenumber)",
    )
    .await?;
    println!("commit to visible in open_lines: {latencies}");
    let mut well = latencies.missing == 0 && judge_all(session).await? == 0;

    stop_under_load(cluster, session).await?;
    let started = Instant::now();
    cluster.launch()?;
    let session = Session::connect(cluster, DATABASE).await?;
    wait_for(&session, "SELECT pgtrickle.scheduler_state() = 'RUNNING'").await?;
    follow_up(&session).await?;
    println!(
        "restarted, and everything followed, in {}",
        ui::elapsed(started)
    );
    well &= judge_all(&session).await? == 0;
    let unfinished = session
        .scalar(
            "SELECT count(*) FROM pgtrickle.pgt_refresh_history
             WHERE finished_at IS NULL OR status NOT IN ('COMPLETED', 'FAILED')",
        )
        .await?;
    well &= unfinished == "0";
    println!(
        "live: {}",
        if well {
            "every stream table was exact, under load and after the stop"
        } else {
            "WRONG"
        }
    );
    Ok(well)
}

/// Drains while writers go on, then stops the server under them.
async fn stop_under_load(cluster: &Cluster, session: &Session) -> Result<()> {
    // A second run of the same lines: numbers may come twice, since nobody asks when they showed.
    let writers = latency::run(cluster, DATABASE, load(SECOND_LOAD), change);
    let stop = async {
        tokio::time::sleep(BEFORE_STOP).await;
        let started = Instant::now();
        if session.scalar("SELECT pgtrickle.drain(60)").await? != "t" {
            bail!("the drain timed out");
        }
        println!("drained under load in {} ms", started.elapsed().as_millis());
        let started = Instant::now();
        // Each of the server's processes gets SIGTERM.
        tokio::task::block_in_place(|| cluster.stop(StopMode::Fast))?;
        println!("stopped under load in {} ms", started.elapsed().as_millis());
        Ok(())
    };
    let (ended, stopped) = tokio::join!(writers, stop);
    stopped?;
    match ended {
        Err(error) if error.is_connection_loss() => Ok(()),
        Err(error) => Err(error).context("a writer failed"),
        Ok(_) => bail!("the writers ended before the server did"),
    }
}

/// Waits until no change is pending.
async fn follow_up(session: &Session) -> Result<()> {
    wait_for_value(session, PENDING, "0")
        .await
        .context("the stream tables do not follow")?;
    Ok(())
}

/// How many stream tables differ from their queries.
async fn judge_all(session: &Session) -> Result<usize> {
    let mut wrong = 0;
    for stream_table in STREAM_TABLES {
        let verdict = oracle::check(session, stream_table.name).await?;
        if !verdict.is_exact() {
            println!("{}: {verdict}", stream_table.name);
            wrong += 1;
        }
    }
    Ok(wrong)
}

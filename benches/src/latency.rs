//! From commit to stream table, with open-loop writers and the scheduler at work.
//!
//! Each transaction updates one row of a group of its own, so that the row of the stream table tells
//! which refresh showed the change.

use anyhow::{Context, Result, bail};
use harness::client::Session;
use harness::cluster::Cluster;
use harness::latency::{self, Latencies, Load};
use harness::runtime::wait_for_value;
use std::time::Duration;

/// Rows per group of the large table.
const GROUP: u64 = 10;
/// Tables over which the many stream tables are spread.
const SOURCES: u64 = 10;

/// One measured line.
pub struct Line {
    /// What was measured.
    pub title: String,
    /// The load.
    pub rate_per_s: u64,
    /// What came of it.
    pub latencies: Latencies,
}

/// A table of `rows` rows, and another to join it with.
pub async fn prepare(session: &Session, rows: u64) -> Result<()> {
    session
        .execute(&format!(
            "CREATE TABLE kind (k int PRIMARY KEY, name text NOT NULL);
             INSERT INTO kind SELECT i, 'kind ' || i FROM generate_series(0, 999) i;
             CREATE TABLE item (id int PRIMARY KEY, g int NOT NULL, k int NOT NULL, v int NOT NULL)
                 WITH (fillfactor = 80);
             INSERT INTO item SELECT i, i / {GROUP}, i / {GROUP} % 1000, 0 FROM generate_series(0, {rows} - 1) i;
             CREATE INDEX ON item (g);
             CREATE INDEX ON item (k)"
        ))
        .await?;
    session.execute("VACUUM ANALYZE").await?;
    Ok(())
}

fn touch(number: u64) -> String {
    format!("UPDATE item SET v = v + 1 WHERE id = {}", number * GROUP)
}

fn touch_source(number: u64) -> String {
    format!(
        "UPDATE s{} SET v = v + 1 WHERE g = {}",
        number % SOURCES,
        number / SOURCES
    )
}

/// Runs the load, waits until nothing is pending, and reads the latencies.
async fn measure(
    cluster: &Cluster,
    session: &Session,
    load: Load,
    statement: fn(u64) -> String,
    times: &str,
) -> Result<Latencies> {
    let database = session.scalar("SELECT current_database()").await?;
    let sent = latency::run(cluster, &database, load, statement).await?;
    wait_for_value(
        session,
        "SELECT coalesce(sum(pending_rows), 0) FROM pgtrickle.change_buffer_sizes()",
        "0",
    )
    .await
    .context("the stream tables do not keep up")?;
    let latencies = latency::judge(session, &sent, times).await?;
    if latencies.missing > 0 {
        bail!("{} changes do not show", latencies.missing);
    }
    Ok(latencies)
}

/// The commit times of an item and of the row of `stream_table` with its group.
fn times(stream_table: &str) -> String {
    format!(
        "SELECT i.id / {GROUP}, pg_xact_commit_timestamp(i.xmin), pg_xact_commit_timestamp(s.xmin)
         FROM item i JOIN {stream_table} s ON s.g = i.g WHERE i.v > 0"
    )
}

/// A join aggregate over all rows, a chain of ten, and a hundred stream tables over ten sources.
pub async fn run(cluster: &Cluster, session: &Session, load: Load) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    session
        .execute(
            "SELECT pgtrickle.create_stream_table('by_group',
                 'SELECT i.g, k.name, count(*) AS n, sum(i.v) AS total
                  FROM item i JOIN kind k ON k.k = i.k GROUP BY i.g, k.name')",
        )
        .await?;
    for rate_per_s in [100, 1000] {
        eprintln!("join aggregate, {rate_per_s}/s");
        start_over(session).await?;
        let load = Load { rate_per_s, ..load };
        lines.push(Line {
            title: "join aggregate".into(),
            rate_per_s,
            latencies: measure(cluster, session, load, touch, &times("by_group")).await?,
        });
    }
    eprintln!("chain of ten");
    start_over(session).await?;
    for link in 1..10 {
        let from = match link {
            1 => "by_group".to_owned(),
            _ => format!("link_{}", link - 1),
        };
        session
            .execute(&format!(
                "SELECT pgtrickle.create_stream_table('link_{link}',
                     'SELECT g, n, total + 1 AS total FROM {from}')"
            ))
            .await?;
    }
    settle(session).await?;
    let gentle = Load {
        rate_per_s: 100,
        ..load
    };
    lines.push(Line {
        title: "chain of ten".into(),
        rate_per_s: 100,
        latencies: measure(cluster, session, gentle, touch, &times("link_9")).await?,
    });
    for link in (1..10).rev() {
        session
            .execute(&format!(
                "SELECT pgtrickle.drop_stream_table('link_{link}')"
            ))
            .await?;
    }
    lines.push(many(cluster, session, gentle).await?);
    Ok(lines)
}

/// Ten stream tables over each of ten sources; what is timed is the last one of each source.
async fn many(cluster: &Cluster, session: &Session, load: Load) -> Result<Line> {
    eprintln!("a hundred stream tables");
    let groups = load.rate_per_s * load.duration.as_secs() / SOURCES + 1;
    for source in 0..SOURCES {
        session
            .execute(&format!(
                "CREATE TABLE s{source} (g int PRIMARY KEY, v int NOT NULL);
                 INSERT INTO s{source} SELECT i, 0 FROM generate_series(0, {groups}) i"
            ))
            .await?;
        for number in 0..10 {
            session
                .execute(&format!(
                    "SELECT pgtrickle.create_stream_table('m{source}_{number}',
                         'SELECT g, v + {number} AS v FROM s{source}')"
                ))
                .await?;
        }
    }
    settle(session).await?;
    let times: Vec<String> = (0..SOURCES)
        .map(|source| {
            format!(
                "SELECT s.g * {SOURCES} + {source}, pg_xact_commit_timestamp(s.xmin),
                        pg_xact_commit_timestamp(m.xmin)
                 FROM s{source} s JOIN m{source}_9 m ON m.g = s.g WHERE s.v > 0"
            )
        })
        .collect();
    let latencies = measure(
        cluster,
        session,
        load,
        touch_source,
        &times.join(" UNION ALL "),
    )
    .await?;
    Ok(Line {
        title: "100 stream tables over 10 sources".into(),
        rate_per_s: load.rate_per_s,
        latencies,
    })
}

/// Makes all rows untouched again.
async fn start_over(session: &Session) -> Result<()> {
    session.execute("UPDATE item SET v = 0 WHERE v > 0").await?;
    session.execute("VACUUM item").await?;
    settle(session).await
}

/// Waits until nothing is pending.
async fn settle(session: &Session) -> Result<()> {
    wait_for_value(
        session,
        "SELECT coalesce(sum(pending_rows), 0) FROM pgtrickle.change_buffer_sizes()",
        "0",
    )
    .await?;
    // What the scheduler does for new tables is not part of the measurement.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// The lines as a table.
pub fn markdown(lines: &[Line]) -> String {
    let mut text = String::from(
        "| stream tables | transactions/s | commit → visible p50 | p95 | p99 | max | intended → visible p50 | p99 |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for line in lines {
        let (commit, intended) = (&line.latencies.from_commit, &line.latencies.from_intended);
        let ms = |us: u64| format!("{:.1} ms", us as f64 / 1e3);
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            line.title,
            line.rate_per_s,
            ms(commit.value_at_quantile(0.5)),
            ms(commit.value_at_quantile(0.95)),
            ms(commit.value_at_quantile(0.99)),
            ms(commit.max()),
            ms(intended.value_at_quantile(0.5)),
            ms(intended.value_at_quantile(0.99)),
        ));
    }
    text
}

//! Stream tables on a coordinator of Citus and two workers: what writers pay through the coordinator, what a refresh takes
//! against the size of its tables and against the distributed query, and how soon workers show a commit.

use crate::settings::Settings;
use crate::stats::{median, paired_ratio, time_ms};
use anyhow::{Context, Result, ensure};
use harness::citus::Citus;
use harness::client::{Session, quote_literal};
use harness::cluster::ExtensionDir;
use harness::latency::{self, Load};
use harness::oracle::Question;
use harness::runtime::{connect, wait_for_value};
use std::fmt::Write as _;
use std::time::Duration;

/// Rows of the bulk statement, and rounds of it.
const BULK_ROWS: u64 = 100_000;
const BULK_ROUNDS: usize = 7;
/// Rows that change before each measured refresh.
const CHANGED: u64 = 100;
/// Rows of one group of what is local to shards, and groups of what is not.
const GROUP: u64 = 10;
const REGIONS: u64 = 50;
/// Refreshes before those that count.
const WARMING: usize = 5;
/// What two steps may take, and what may pass from a commit to its refresh.
const TWO_STEPS_MS: f64 = 25.0;
const VISIBLE_MS: f64 = 5.0;

/// Of each node. Three of them share a machine, so none takes much.
const SETTINGS: [(&str, &str); 10] = [
    ("citus.shard_count", "32"),
    ("shared_buffers", "512MB"),
    ("work_mem", "32MB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "1h"),
    // Vacuum runs between measurements, by hand.
    ("autovacuum", "off"),
    ("jit", "off"),
    ("track_commit_timestamp", "on"),
    ("max_connections", "150"),
    ("fsync", "on"),
];

/// A ratio that has a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// As `thresholds.toml` has it.
    pub name: &'static str,
    /// What is compared, in milliseconds.
    pub candidate: f64,
    pub baseline: f64,
    /// Of medians, or the median of ratios of what was measured in turns.
    pub ratio: f64,
}

impl Figure {
    fn of(name: &'static str, candidate: &[f64], baseline: &[f64]) -> Self {
        Figure {
            name,
            candidate: median(candidate),
            baseline: median(baseline),
            ratio: paired_ratio(candidate, baseline),
        }
    }

    /// Against what the aim allows.
    fn within(name: &'static str, measured: f64, allowed: f64) -> Self {
        Figure {
            name,
            candidate: measured,
            baseline: allowed,
            ratio: measured / allowed,
        }
    }
}

/// Starts the cluster with this build of the extension.
pub async fn start(extension: &ExtensionDir) -> Result<Citus> {
    Ok(Citus::of(extension, &SETTINGS).await?)
}

/// Measures everything.
pub async fn measure(citus: &Citus, settings: &Settings) -> Result<Vec<Figure>> {
    let session = connect(citus, "postgres").await?;
    let mut figures = writers(citus, &session, settings).await?;
    eprintln!("{}", markdown(&figures));
    figures.extend(refreshes(citus, &session, settings).await?);
    eprintln!("{}", markdown(&figures));
    figures.push(visible(citus, &session).await?);
    Ok(figures)
}

/// A table of these rows, distributed by `k` beside all others.
async fn create(session: &Session, table: &str, rows: u64) -> Result<()> {
    session
        .execute(&format!(
            "CREATE TABLE {table} (k int NOT NULL, id bigint NOT NULL, region int NOT NULL, v bigint NOT NULL, PRIMARY KEY (k, id))"
        ))
        .await?;
    session
        .execute(&format!("SELECT create_distributed_table('{table}', 'k')"))
        .await?;
    session
        .execute(&format!(
            "INSERT INTO {table} SELECT i / {GROUP}, i, i % {REGIONS}, i % 1000 FROM generate_series(0, {rows} - 1) i"
        ))
        .await?;
    Ok(())
}

fn by_key(table: &str) -> String {
    format!("SELECT k, count(*) AS n, sum(v) AS total FROM {table} GROUP BY k")
}

fn by_region(table: &str) -> String {
    format!("SELECT region, count(*) AS n, sum(v) AS total FROM {table} GROUP BY region")
}

/// Creates a stream table and fills it; how it is kept must be as `code` says.
async fn follow(session: &Session, name: &str, query: &str, code: &str) -> Result<()> {
    let create = format!(
        "SELECT pgtrickle.create_stream_table('{name}', {}, '1d', 'DIFFERENTIAL')",
        quote_literal(query)
    );
    session.execute(&create).await?;
    session.execute(&refresh(name)).await?;
    let kept = format!(
        "SELECT mode_code FROM pgtrickle.pgt_stream_tables WHERE pgt_relid = '{name}'::regclass"
    );
    let kept = session.scalar(&kept).await?;
    ensure!(kept == code, "{name} is kept as {kept}");
    Ok(())
}

fn refresh(name: &str) -> String {
    format!("SELECT pgtrickle.refresh_stream_table('{name}')")
}

async fn exact(session: &Session, name: &str, query: &str) -> Result<()> {
    let verdict = Question::query(name, query).ask(session).await?;
    ensure!(verdict.is_exact(), "{name} is {verdict}");
    Ok(())
}

/// The state that is measured: vacuumed, analysed, written out.
async fn settle(citus: &Citus, session: &Session) -> Result<()> {
    session.execute("VACUUM ANALYZE").await?;
    for node in std::iter::once(citus.coordinator()).chain(citus.workers()) {
        let session = Session::connect(node, "postgres").await?;
        session.execute("CHECKPOINT").await?;
    }
    Ok(())
}

/// What capture on the shards costs statements through the coordinator. Nodes do not wait for the disk here, because that
/// wait would hide what is measured.
async fn writers(citus: &Citus, session: &Session, settings: &Settings) -> Result<Vec<Figure>> {
    let tables = ["plain", "captured"];
    let rows = settings.rows / 10;
    for table in tables {
        create(session, table, rows).await?;
    }
    create(session, "batch", BULK_ROWS).await?;
    follow(
        session,
        "of_captured",
        &by_key("captured"),
        "CITUS_SHARD_LOCAL",
    )
    .await?;
    settle(citus, session).await?;
    flush(citus, session, "off").await?;

    let singles = settings.repeat * 20;
    let update = in_turns(session, singles, |table, round| {
        let id = (round as u64 * 7_919) % rows;
        format!(
            "UPDATE {table} SET v = v + 1 WHERE k = {} AND id = {id}",
            id / GROUP
        )
    });
    let update = update.await?;
    let insert = in_turns(session, singles, |table, round| {
        let id = 100 * rows + round as u64;
        format!("INSERT INTO {table} VALUES ({}, {id}, 1, 1)", id / GROUP)
    });
    let insert = insert.await?;
    session.execute(&refresh("of_captured")).await?;
    let mut bulk = [Vec::new(), Vec::new()];
    for round in 0..=BULK_ROUNDS {
        for (table, times) in tables.into_iter().zip(&mut bulk) {
            let first = 1_000 * rows + round as u64 * BULK_ROWS;
            let sql = format!("INSERT INTO {table} SELECT k, {first} + id, region, v FROM batch");
            let ms = time_ms(session, &sql).await?;
            if round > 0 {
                times.push(ms);
            }
        }
        session.execute(&refresh("of_captured")).await?;
        settle(citus, session).await?;
    }
    exact(session, "of_captured", &by_key("captured")).await?;
    flush(citus, session, "on").await?;
    Ok(vec![
        Figure::of("citus UPDATE of one row", &update[1], &update[0]),
        Figure::of("citus INSERT of one row", &insert[1], &insert[0]),
        Figure::of("citus INSERT SELECT of 100,000 rows", &bulk[1], &bulk[0]),
    ])
}

/// Times of one statement on the table without capture and on the one with it.
async fn in_turns(
    session: &Session,
    rounds: usize,
    statement: impl Fn(&str, usize) -> String,
) -> Result<[Vec<f64>; 2]> {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds + WARMING {
        // Who comes first changes.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let table = ["plain", "captured"][which];
            let ms = time_ms(session, &statement(table, round)).await?;
            if round >= WARMING {
                times[which].push(ms);
            }
        }
    }
    Ok(times)
}

async fn flush(citus: &Citus, session: &Session, value: &str) -> Result<()> {
    for node in std::iter::once(citus.coordinator()).chain(citus.workers()) {
        node.configure("fsync", value)?;
        node.reload()?;
    }
    wait_for_value(session, "SELECT current_setting('fsync')", value).await?;
    Ok(())
}

/// Refreshes after few changes, against the size of the table and against the distributed query; each followed by a commit
/// that waits for the disk.
async fn refreshes(citus: &Citus, session: &Session, settings: &Settings) -> Result<Vec<Figure>> {
    let (small, large) = (settings.rows / 10, settings.rows);
    for (table, rows) in [("small", small), ("large", large)] {
        create(session, table, rows).await?;
        let name = format!("{table}_by_key");
        follow(session, &name, &by_key(table), "CITUS_SHARD_LOCAL").await?;
    }
    follow(session, "by_region", &by_region("large"), "CITUS_TWO_STEPS").await?;
    session
        .execute("CREATE TABLE recomputed (k int, n bigint, total numeric)")
        .await?;
    settle(citus, session).await?;

    let (mut of_small, mut of_large, mut two_steps) = (Vec::new(), Vec::new(), Vec::new());
    let (mut recomputing, mut asking) = (Vec::new(), Vec::new());
    let recompute = format!(
        "BEGIN; TRUNCATE recomputed; INSERT INTO recomputed {}; COMMIT",
        by_key("large")
    );
    for round in 0..settings.repeat + WARMING {
        for (table, rows) in [("small", small), ("large", large)] {
            session.execute(&change(table, rows, round)).await?;
        }
        let small = time_ms(session, &refresh("small_by_key")).await?;
        let large = time_ms(session, &refresh("large_by_key")).await?;
        let regions = time_ms(session, &refresh("by_region")).await?;
        let asked = time_ms(session, &by_region("large")).await?;
        if round < WARMING {
            continue;
        }
        of_small.push(small);
        of_large.push(large);
        two_steps.push(regions);
        asking.push(asked);
        // It takes long, and varies less.
        if round % 4 == 0 {
            recomputing.push(time_ms(session, &recompute).await?);
        }
    }
    for table in ["small", "large"] {
        exact(session, &format!("{table}_by_key"), &by_key(table)).await?;
    }
    exact(session, "by_region", &by_region("large")).await?;
    let recomputing = median(&recomputing);
    Ok(vec![
        Figure::of("citus refresh, ten times the rows", &of_large, &of_small),
        Figure::within(
            "citus refresh against recomputing",
            median(&of_large),
            recomputing,
        ),
        Figure::of("citus two steps against the query", &two_steps, &asking),
        Figure::within(
            "citus two steps against 25 ms",
            median(&two_steps),
            TWO_STEPS_MS,
        ),
    ])
}

/// Changes so many rows, of as many groups, on all shards.
fn change(table: &str, rows: u64, round: usize) -> String {
    let step = rows / CHANGED / GROUP;
    let first = round as u64 % step;
    format!("UPDATE {table} SET v = v + 1 WHERE id = k * {GROUP} AND k % {step} = {first}")
}

/// From a commit on a worker to that of the refresh that shows it there, half of all at most.
async fn visible(citus: &Citus, session: &Session) -> Result<Figure> {
    session
        .execute("CREATE TABLE touched (id int PRIMARY KEY, v int NOT NULL)")
        .await?;
    session
        .execute("SELECT create_distributed_table('touched', 'id')")
        .await?;
    session
        .execute("INSERT INTO touched SELECT i, 0 FROM generate_series(0, 9999) i")
        .await?;
    session
        .execute(
            "SELECT pgtrickle.create_stream_table('shown', 'SELECT id, v + 1 AS v FROM touched')",
        )
        .await?;
    session.execute(&refresh("shown")).await?;
    let load = Load {
        rate_per_s: 20,
        duration: Duration::from_secs(15),
        writers: 2,
    };
    let update = |number: u64| format!("UPDATE touched SET v = v + 1 WHERE id = {number}");
    let sent = latency::run(citus.coordinator(), "postgres", load, update).await?;
    let behind = "SELECT count(*) FROM touched t JOIN shown s USING (id) WHERE s.v <> t.v + 1";
    wait_for_value(session, behind, "0")
        .await
        .context("the workers do not keep up")?;
    let times = "SELECT x ->> 0, (x ->> 1)::timestamptz, (x ->> 2)::timestamptz
        FROM run_command_on_colocated_placements('touched', 'shown', $$
            SELECT coalesce(json_agg(json_build_array(t.id, pg_xact_commit_timestamp(t.xmin), pg_xact_commit_timestamp(s.xmin))), '[]')
            FROM %s t JOIN %s s USING (id) WHERE t.v > 0 $$) p, json_array_elements(p.result::json) x";
    let latencies = latency::judge(session, &sent, times).await?;
    ensure!(
        latencies.missing == 0,
        "{} changes do not show",
        latencies.missing
    );
    eprintln!("{latencies}");
    let half = latencies.from_commit.value_at_quantile(0.5) as f64 / 1e3;
    Ok(Figure::within(
        "citus commit to visible against 5 ms",
        half,
        VISIBLE_MS,
    ))
}

/// The ratios with their names.
pub fn ratios(figures: &[Figure]) -> Vec<(String, f64)> {
    let named = figures.iter();
    named
        .map(|figure| (figure.name.to_owned(), figure.ratio))
        .collect()
}

/// The table, as Markdown.
pub fn markdown(figures: &[Figure]) -> String {
    let mut text = String::from("| what | ms | against, ms | ratio |\n|---|---:|---:|---:|\n");
    for figure in figures {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {:.2} | {:.2} | {:.3} |",
            figure.name, figure.candidate, figure.baseline, figure.ratio
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_of_as_many_rows_in_a_table_of_any_size() {
        for rows in [100_000, 1_000_000] {
            let sql = change("t", rows, 1_234);
            let step: u64 = sql.rsplit(' ').nth(2).unwrap().parse().unwrap();
            assert_eq!(rows / GROUP / step, CHANGED, "{sql}");
        }
    }

    #[test]
    fn a_figure_is_printed_with_its_ratio() {
        let figure = Figure::within("citus two steps against 25 ms", 5.0, TWO_STEPS_MS);
        let line = "| citus two steps against 25 ms | 5.00 | 25.00 | 0.200 |\n";
        assert!(markdown(&[figure]).ends_with(line));
    }
}

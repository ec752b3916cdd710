//! What writers pay: the same statements on the same table without capture, with the native writer and
//! with generated SQL.
//!
//! Commits do not wait for the disk here, because that wait would hide what is measured.

use crate::server;
use crate::settings::Settings;
use crate::stats::{median, time_ms};
use anyhow::Result;
use harness::client::Session;

/// The writers, in the order in which they are reported.
pub const WRITERS: [&str; 3] = ["none", "native", "sql"];

/// What is measured, in the order of the report.
pub const STATEMENTS: [&str; 3] = [
    "INSERT of 100,000 rows",
    "UPDATE of one row",
    "INSERT of one row",
];

/// Rows of the first of these.
const BULK_ROWS: u64 = 100_000;
const BULK_REPEAT: usize = 7;

/// Medians of one kind of statement with each writer, in the order of [`WRITERS`].
#[derive(Debug, Clone)]
pub struct Cost {
    /// One of [`STATEMENTS`].
    pub statement: &'static str,
    pub ms: [f64; 3],
}

impl Cost {
    /// By which factor the writer at this index makes the statement slower.
    pub fn factor(&self, writer: usize) -> f64 {
        self.ms[writer] / self.ms[0]
    }
}

/// Measures a bulk insert, single-row updates and single-row inserts.
pub async fn measure(session: &Session, settings: &Settings) -> Result<Vec<Cost>> {
    session.execute("SET synchronous_commit = off").await?;
    for writer in WRITERS {
        create(session, writer, settings.rows).await?;
    }
    server::settle(session).await?;
    let rows = settings.rows;
    let bulk = rounds(session, BULK_REPEAT, true, |writer, round| {
        let first = rows + 1 + round as u64 * BULK_ROWS;
        format!(
            "INSERT INTO capture_{writer} SELECT {}",
            row(&format!(
                "generate_series({first}, {first} + {BULK_ROWS} - 1)"
            ))
        )
    })
    .await?;
    let singles = settings.repeat * 40;
    let update = rounds(session, singles, false, |writer, round| {
        let id = 1 + (round as u64 * 7_919) % rows;
        format!("UPDATE capture_{writer} SET amount = amount + 1 WHERE id = {id}")
    })
    .await?;
    let insert = rounds(session, singles, false, |writer, round| {
        let id = rows * 100 + round as u64;
        format!(
            "INSERT INTO capture_{writer} SELECT {}",
            row(&id.to_string())
        )
    })
    .await?;
    session.execute("RESET synchronous_commit").await?;
    let costs = STATEMENTS.into_iter().zip([bulk, update, insert]);
    Ok(costs
        .map(|(statement, ms)| Cost { statement, ms })
        .collect())
}

fn row(id: &str) -> String {
    format!(
        "i, i % 1000, i % 10, i % 7 % 5, i % 1000, i % 10000, 'note ' || i FROM (SELECT {id}::bigint AS i) s"
    )
}

async fn create(session: &Session, writer: &str, rows: u64) -> Result<()> {
    let table = format!("capture_{writer}");
    session
        .execute(&format!(
            "CREATE TABLE {table} (
                 id bigint PRIMARY KEY, small_id integer NOT NULL, region integer NOT NULL,
                 kind integer NOT NULL, amount bigint NOT NULL, score integer NOT NULL, note text NOT NULL);
             INSERT INTO {table} SELECT {}",
            row(&format!("generate_series(1, {rows})"))
        ))
        .await?;
    if writer != "none" {
        session
            .execute(&format!(
                "SET pg_trickle.cdc_trigger_mode = '{writer}';
                 SELECT pgtrickle.create_stream_table('{table}_summary',
                     'SELECT region, kind, count(*) AS n, sum(amount) AS total FROM {table} GROUP BY region, kind');
                 RESET pg_trickle.cdc_trigger_mode"
            ))
            .await?;
    }
    Ok(())
}

/// Runs the statement with each writer in turn, so often; between bulk rounds the buffers are drained.
async fn rounds(
    session: &Session,
    count: usize,
    bulk: bool,
    statement: impl Fn(&str, usize) -> String,
) -> Result<[f64; 3]> {
    let mut times = [const { Vec::new() }; 3];
    // The first round warms up and is not counted.
    for round in 0..=count {
        for turn in 0..WRITERS.len() {
            let writer = (turn + round) % WRITERS.len();
            let ms = time_ms(session, &statement(WRITERS[writer], round)).await?;
            if round > 0 {
                times[writer].push(ms);
            }
        }
        if bulk {
            drain(session).await?;
        }
    }
    drain(session).await?;
    Ok(times.map(|times| median(&times)))
}

async fn drain(session: &Session) -> Result<()> {
    for writer in ["native", "sql"] {
        session
            .execute(&format!(
                "SELECT * FROM pgtrickle.refresh_stream_table('capture_{writer}_summary')"
            ))
            .await?;
    }
    session.execute("VACUUM").await?;
    session.execute("CHECKPOINT").await?;
    Ok(())
}

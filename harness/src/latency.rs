//! How long a commit takes to show in a stream table, without looking for it: afterwards, from the
//! commit times that the server keeps (`track_commit_timestamp`).
//!
//! Writers are an open loop: each transaction has its time, whatever became of the one before. Counted
//! from that intended time, a stalled writer is not left out (coordinated omission); counted from the
//! commit, only what the extension adds.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::client::{Session, SqlError};
use crate::cluster::Cluster;

/// A load: so many transactions per second, for so long, by so many sessions.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Transactions per second.
    pub rate_per_s: u64,
    /// For how long.
    pub duration: Duration,
    /// Sessions; one can have one transaction at a time.
    pub writers: u64,
}

/// A transaction that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its number, which its statement was made from.
    pub number: u64,
    /// When it was to begin, in microseconds since 1970.
    pub intended_us: u64,
}

/// Runs the load. `statement` makes the text of a transaction from its number; errors end the run.
pub async fn run(
    cluster: &Cluster,
    database: &str,
    load: Load,
    statement: fn(u64) -> String,
) -> Result<Vec<Sent>, SqlError> {
    let total = load.rate_per_s * load.duration.as_secs().max(1);
    let pause = Duration::from_secs(1).div_f64(load.rate_per_s as f64);
    let next = Arc::new(AtomicU64::new(0));
    let mut sessions = Vec::new();
    for _ in 0..load.writers {
        sessions.push(Session::connect(cluster, database).await?);
    }
    let (start, wall) = (Instant::now(), SystemTime::now());
    let mut writers = Vec::new();
    for session in sessions {
        let next = Arc::clone(&next);
        writers.push(tokio::spawn(async move {
            let mut sent = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return Ok::<_, SqlError>(sent);
                }
                let offset = pause.mul_f64(number as f64);
                tokio::time::sleep_until(start + offset).await;
                session.execute(&statement(number)).await?;
                let intended = (wall + offset).duration_since(UNIX_EPOCH);
                sent.push(Sent {
                    number,
                    intended_us: intended.map_or(0, |d| d.as_micros() as u64),
                });
            }
        }));
    }
    let mut sent = Vec::new();
    for writer in writers {
        match writer.await {
            Ok(part) => sent.extend(part?),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    Ok(sent)
}

/// What came of it.
#[derive(Debug)]
pub struct Latencies {
    /// From commit to commit, in microseconds.
    pub from_commit: Histogram<u64>,
    /// From the intended time, in microseconds.
    pub from_intended: Histogram<u64>,
    /// Transactions that do not show.
    pub missing: usize,
}

/// Reads the latencies. `times` returns per transaction its number, and the commit times of the change
/// and of the refresh that shows it, as `pg_xact_commit_timestamp` has them.
pub async fn judge(session: &Session, sent: &[Sent], times: &str) -> Result<Latencies, SqlError> {
    let epoch_us = |column: &str| format!("(extract(epoch FROM {column}) * 1000000)::bigint");
    let sql = format!(
        "SELECT number, {}, {} FROM ({times}) x (number, committed, shown)",
        epoch_us("committed"),
        epoch_us("shown")
    );
    let mut found: HashMap<u64, (u64, u64)> = HashMap::new();
    for row in session.rows(&sql).await? {
        let number = |at: usize| row.get(at)?.as_deref()?.parse::<u64>().ok();
        if let (Some(key), Some(committed), Some(shown)) = (number(0), number(1), number(2)) {
            found.insert(key, (committed, shown));
        }
    }
    let empty = || Histogram::new_with_bounds(1, 600_000_000, 3);
    let (Ok(from_commit), Ok(from_intended)) = (empty(), empty()) else {
        unreachable!("the bounds are valid");
    };
    let mut latencies = Latencies {
        from_commit,
        from_intended,
        missing: 0,
    };
    for transaction in sent {
        match found.get(&transaction.number) {
            // A refresh cannot show what was not committed.
            Some((committed, shown)) if shown >= committed => {
                latencies.from_commit.saturating_record(shown - committed);
                latencies
                    .from_intended
                    .saturating_record(shown.saturating_sub(transaction.intended_us));
            }
            _ => latencies.missing += 1,
        }
    }
    Ok(latencies)
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |histogram: &Histogram<u64>, quantile: f64| {
            histogram.value_at_quantile(quantile) as f64 / 1e3
        };
        for (label, histogram) in [
            ("from commit", &self.from_commit),
            ("from intended", &self.from_intended),
        ] {
            write!(f, "{label}")?;
            for quantile in [0.5, 0.95, 0.99, 0.999] {
                write!(
                    f,
                    "  p{} {:.1} ms",
                    quantile * 100.0,
                    ms(histogram, quantile)
                )?;
            }
            write!(f, "  max {:.1} ms", histogram.max() as f64 / 1e3)?;
            f.write_str("; ")?;
        }
        write!(
            f,
            "{} transactions, {} missing",
            self.from_commit.len(),
            self.missing
        )
    }
}

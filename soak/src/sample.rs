//! Figures of the run, about once a second: for the report, and for what is on the screen.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use harness::client::{Session, SqlError};

use crate::arena::Arena;
use crate::check::{staleness, storage};
use crate::journal::{Event, Sample};
use crate::sometimes::Event as Sometimes;

/// Measures until the run is over.
pub async fn watch(arena: Arc<Arena>) {
    let who = "sampler";
    let mut last = Last {
        at_s: arena.journal.now_s(),
        committed: 0,
        history_id: None,
    };
    while let Some(session) = arena.connect(who).await {
        while arena.is_running() {
            match measure(&arena, &session, &mut last).await {
                Ok(sample) => arena.journal.write(Event::Sample(sample)),
                Err(error) => {
                    arena.report(who, &error);
                    break;
                }
            }
            arena.rest(Duration::from_secs(1)).await;
        }
        if !arena.is_running() {
            return;
        }
    }
}

struct Last {
    at_s: f64,
    committed: u64,
    history_id: Option<String>,
}

async fn measure(arena: &Arena, session: &Session, last: &mut Last) -> Result<Sample, SqlError> {
    let since = last.history_id.clone().unwrap_or_else(|| "0".into());
    let rows = session
        .rows(&format!(
            "SELECT coalesce(max(history_id), {since}), count(*),
                    coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms), 0),
                    coalesce(percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms), 0),
                    coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY duration_ms), 0),
                    count(*) FILTER (WHERE action = 'FULL' AND reason <> '')
             FROM pgtrickle.pgt_refresh_history WHERE history_id > {since}"
        ))
        .await?;
    let cell = |at: usize| rows.first()?.get(at)?.as_deref();
    let number = |at: usize| {
        cell(at)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    let (staleness_s, deep_staleness_s) = staleness::behind_s(session).await?;
    let [buffer_bytes, buffer_rows, wal_bytes] = storage::sizes(session).await?;
    let now_s = arena.journal.now_s();
    let span_s = (now_s - last.at_s).max(0.001);
    let committed = arena.committed.load(Ordering::Relaxed);
    let mut times = arena
        .commits_ms
        .lock()
        .map(|mut times| std::mem::take(&mut *times))
        .unwrap_or_default();
    let is_first = last.history_id.is_none();
    let sample = Sample {
        commits_per_s: (committed - last.committed) as f64 / span_s,
        commit_ms: percentiles(&mut times),
        refreshes_per_s: if is_first { 0.0 } else { number(1) / span_s },
        refresh_ms: [number(2), number(3), number(4)],
        staleness_s,
        deep_staleness_s,
        buffer_bytes,
        buffer_rows,
        wal_bytes,
    };
    if number(5) > 0.0 && !is_first {
        arena.saw(Sometimes::FullFallback);
    }
    last.history_id = cell(0).map(str::to_owned);
    last.at_s = now_s;
    last.committed = committed;
    Ok(sample)
}

/// Median, 95th and 99th percentile; zeros of nothing.
fn percentiles(times: &mut [f64]) -> [f64; 3] {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place.min(times.len().saturating_sub(1))).copied()
    };
    [0.5, 0.95, 0.99].map(|share| at(share).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut times: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentiles(&mut times), [51.0, 96.0, 100.0]);
        assert_eq!(percentiles(&mut []), [0.0; 3]);
    }
}

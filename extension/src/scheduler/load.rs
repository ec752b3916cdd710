//! The load of the refresh workers relative to their capacity, and the stream tables that cause it. Time is
//! passed in.
//!
//! ```text
//! saturation = (workers busy on average over the last W + work that is due and waits ÷ W) ÷ workers
//! ```
//!
//! with `W` = [`WINDOW`]. Below 1 the workers keep up. Above, more work waits than they can do in that time, and
//! the data of stream tables is older than their schedules require.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::shmem::load::{EATERS, Measured};

/// Over which averages are taken; what is older counts less and less.
pub const WINDOW: Duration = Duration::from_secs(10);
/// A share below this is none.
const SHARE_MIN: f64 = 0.001;

/// What part of an average is left of it after so long.
fn left_after(time: Duration) -> f64 {
    (-time.as_secs_f64() / WINDOW.as_secs_f64()).exp()
}

/// A scheduler's measurements.
#[derive(Debug)]
pub struct Meter {
    at: Instant,
    busy: f64,
    running: u64,
    /// Shares of one worker's time.
    shares: HashMap<i64, f64>,
}

impl Meter {
    /// Nothing has been measured.
    pub fn new(now: Instant) -> Self {
        Meter {
            at: now,
            busy: 0.0,
            running: 0,
            shares: HashMap::new(),
        }
    }

    /// From now on so many workers are busy.
    pub fn set_running(&mut self, running: usize, now: Instant) {
        let left = left_after(now.saturating_duration_since(self.at));
        self.busy = self.busy * left + self.running as f64 * (1.0 - left);
        self.shares.retain(|_, share| {
            *share *= left;
            *share > SHARE_MIN
        });
        self.running = running as u64;
        self.at = now;
    }

    /// A refresh of this table has taken so long.
    pub fn note(&mut self, pgt_id: i64, took: Duration) {
        *self.shares.entry(pgt_id).or_default() += took.as_secs_f64() / WINDOW.as_secs_f64();
    }

    /// What is to be published.
    pub fn measured(&self, workers: usize, waiting: Duration, at_us: i64) -> Measured {
        let mut eaters: Vec<(i64, f64)> = self
            .shares
            .iter()
            .map(|(id, share)| (*id, *share))
            .collect();
        eaters.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        eaters.truncate(EATERS);
        Measured {
            at_us,
            busy: self.busy,
            running: self.running,
            workers: workers as u64,
            waiting_s: waiting.as_secs_f64(),
            eaters,
        }
    }
}

/// What a measurement comes to at a later time.
pub fn at(measured: &Measured, now_us: i64) -> Measured {
    let age_us = u64::try_from(now_us - measured.at_us).unwrap_or(0);
    let left = left_after(Duration::from_micros(age_us));
    let shares = measured
        .eaters
        .iter()
        .map(|(id, share)| (*id, share * left));
    Measured {
        at_us: now_us,
        busy: measured.busy * left + measured.running as f64 * (1.0 - left),
        eaters: shares.filter(|(_, share)| *share > SHARE_MIN).collect(),
        ..measured.clone()
    }
}

/// Work due ÷ capacity.
pub fn saturation(measured: &Measured) -> f64 {
    if measured.workers == 0 {
        return 0.0;
    }
    (measured.busy + measured.waiting_s / WINDOW.as_secs_f64()) / measured.workers as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// One of two workers busy for as long as this, and so much that waits.
    fn measured(busy_for: Duration, waiting: Duration) -> Measured {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        meter.set_running(1, start);
        meter.note(7, busy_for);
        meter.set_running(1, start + busy_for);
        meter.measured(2, waiting, 0)
    }

    fn is_about(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 0.02
    }

    #[test]
    fn half_of_the_workers_busy_all_the_time_is_half_of_the_capacity() {
        let load = measured(100 * S, Duration::ZERO);
        assert!(is_about(saturation(&load), 0.5), "{load:?}");
    }

    #[test]
    fn what_waits_counts_and_can_exceed_the_capacity() {
        let load = measured(100 * S, 40 * S);
        assert!(is_about(saturation(&load), 2.5), "{load:?}");
    }

    #[test]
    fn a_reader_goes_on_from_the_last_measurement() {
        let load = measured(100 * S, Duration::ZERO);
        assert!(
            is_about(saturation(&at(&load, 60_000_000)), 0.5),
            "still busy"
        );
        let idle = Measured {
            running: 0,
            ..load.clone()
        };
        assert!(
            is_about(saturation(&at(&idle, 60_000_000)), 0.0),
            "idle since"
        );
        assert!(at(&idle, 600_000_000).eaters.is_empty());
    }

    #[test]
    fn the_tables_that_take_the_most_come_first() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        for id in 1..=20 {
            meter.note(id, u32::try_from(id).unwrap_or(0) * S);
        }
        let eaters = meter.measured(1, Duration::ZERO, 0).eaters;
        assert_eq!(eaters.len(), EATERS);
        assert_eq!(eaters[0], (20, 2.0));
    }

    #[test]
    fn without_a_scheduler_there_is_no_load() {
        assert!(is_about(saturation(&Measured::default()), 0.0));
    }
}

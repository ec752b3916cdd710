//! How large and how often; the defaults are those of the published table.

use std::env;
use std::str::FromStr;
use std::time::Duration;

/// Sizes and repetitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Rows of the large table: `PGT_BENCH_ROWS`.
    pub rows: u64,
    /// Rows of the large table for the growth measurement, 0 to leave it out: `PGT_BENCH_GROWTH_ROWS`.
    pub growth_rows: u64,
    /// Measured repetitions per cell for changes of up to 100 rows: `PGT_BENCH_REPEAT`.
    pub repeat: usize,
    /// Whether missing a gate fails the run: `PGT_BENCH_GATE`, 0 to only print.
    pub gate: bool,
}

impl Settings {
    /// Reads the environment.
    pub fn from_env() -> Self {
        Self {
            rows: variable("PGT_BENCH_ROWS", 1_000_000),
            growth_rows: variable("PGT_BENCH_GROWTH_ROWS", 10_000_000),
            repeat: variable("PGT_BENCH_REPEAT", 41),
            gate: variable("PGT_BENCH_GATE", 1) != 0,
        }
    }

    /// Repetitions for a change of this many rows; large ones vary less and take longer.
    pub fn repeat_for(&self, changed: u64) -> usize {
        if changed > 1_000 {
            (self.repeat / 3).max(3)
        } else {
            self.repeat
        }
    }
}

/// Whether cargo only wants to see that benchmarks start, as `cargo test --benches` does: there is nothing quick to
/// test in those that need a server.
pub fn is_trial() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// How long writers write: `PGT_BENCH_SECONDS`.
pub fn seconds() -> Duration {
    Duration::from_secs(variable("PGT_BENCH_SECONDS", 10))
}

/// Scale factor of TPC-H: `PGT_BENCH_SCALE`.
pub fn tpch_scale() -> f64 {
    variable("PGT_BENCH_SCALE", 1.0)
}

/// Scale factor of TPC-DS: `PGT_BENCH_DS_SCALE`.
pub fn tpcds_scale() -> f64 {
    variable("PGT_BENCH_DS_SCALE", 0.1)
}

/// Events of Nexmark before anything is measured, more than a million bids among them: `PGT_BENCH_EVENTS`.
pub fn nexmark_events() -> usize {
    variable("PGT_BENCH_EVENTS", 1_100_000)
}

/// All views, or those whose letters `PGT_BENCH_VIEWS` has.
pub fn is_wanted(letter: char) -> bool {
    env::var("PGT_BENCH_VIEWS").map_or(true, |letters| letters.contains(letter))
}

fn variable<T: FromStr>(name: &str, default: T) -> T {
    env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_changes_are_repeated_less_often_but_not_once() {
        let settings = Settings {
            rows: 1,
            growth_rows: 0,
            repeat: 5,
            gate: false,
        };
        assert_eq!(settings.repeat_for(100), 5);
        assert_eq!(settings.repeat_for(10_000), 3);
    }
}

//! Times and their medians.

use anyhow::Result;
use harness::client::Session;
use std::time::Instant;

/// Runs a statement, commit included, and returns the milliseconds as the client sees them.
pub async fn time_ms(session: &Session, sql: &str) -> Result<f64> {
    let started = Instant::now();
    session.execute(sql).await?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// The middle of the values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The median of the ratios of values that were measured together; steadier than the ratio of medians.
pub fn paired_ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_an_outlier() {
        assert_eq!(median(&[1.0, 100.0, 2.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0]), 1.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_slow_pair_does_not_move_the_ratio() {
        assert_eq!(paired_ratio(&[1.0, 10.0, 2.0], &[2.0, 20.0, 4.0]), 0.5);
    }
}

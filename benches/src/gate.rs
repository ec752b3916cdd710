//! When a ratio to a baseline counts as a regression, on a machine that is never quiet.
//!
//! Baseline and candidate run in turns, A B B A, so that drift meets both alike. Each turn gives two
//! ratios of the candidate to the baseline and one of the baseline to itself. A case fails only if the
//! whole bootstrap interval of the median ratio is beyond its limit, and again in a second run. Where
//! the baseline differs from itself by more than the limit allows, nothing can be told.

use crate::stats::median;
use anyhow::{Context, Result, ensure};
use harness::random::Random;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// At least so many pairs make a verdict.
pub const PAIRS_MIN: usize = 16;
const RESAMPLES: usize = 2_000;
/// Share of the resampled medians that the interval holds.
const CONFIDENCE: f64 = 0.95;

/// The thresholds, by the name of the case.
pub type Thresholds = BTreeMap<String, Threshold>;

/// The ratio that a case must not go beyond.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    pub limit: f64,
    /// Why it is this one.
    pub reason: String,
}

/// Reads `thresholds.toml`.
pub fn thresholds() -> Result<Thresholds> {
    let all: Thresholds = toml::from_str(include_str!("../thresholds.toml"))?;
    for (name, threshold) in &all {
        ensure!(threshold.limit > 0.0, "{name}: the limit is not above 0");
        ensure!(!threshold.reason.is_empty(), "{name}: no reason");
    }
    Ok(all)
}

/// The limit of a case.
///
/// # Errors
/// If the thresholds do not know it.
pub fn limit(thresholds: &Thresholds, name: &str) -> Result<f64> {
    let threshold = thresholds.get(name);
    let threshold = threshold.with_context(|| format!("thresholds.toml does not know {name}"))?;
    Ok(threshold.limit)
}

/// What is beyond its limit among these ratios, each of which has one.
pub fn crossed(thresholds: &Thresholds, ratios: &[(String, f64)]) -> Result<Vec<String>> {
    let mut crossed = Vec::new();
    for (name, ratio) in ratios {
        let limit = limit(thresholds, name)?;
        if *ratio > limit {
            crossed.push(format!("{name}: {ratio:.2}, the gate is {limit}"));
        }
    }
    Ok(crossed)
}

/// Prints what is beyond its limit, and fails unless the settings say otherwise.
pub fn settle(ratios: &[(String, f64)], fails: bool) -> Result<()> {
    let crossed = crossed(&thresholds()?, ratios)?;
    for line in &crossed {
        println!("GATE {line}");
    }
    ensure!(
        !fails || crossed.is_empty(),
        "{} gates crossed",
        crossed.len()
    );
    Ok(())
}

/// Times of one turn, in any unit: baseline, candidate, candidate, baseline.
#[derive(Debug, Clone, Copy)]
pub struct Turn(pub [f64; 4]);

/// The values between which the median lies, and the median.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
}

impl Interval {
    /// By resampling, the same for the same values.
    pub fn of_median(values: &[f64]) -> Self {
        let mut random = Random::new(values.len() as u64);
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let resample: Vec<f64> = (0..values.len())
                    .map(|_| values[random.below(values.len() as u64) as usize])
                    .collect();
                median(&resample)
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[((RESAMPLES - 1) as f64 * share).round() as usize];
        Self {
            low: at((1.0 - CONFIDENCE) / 2.0),
            middle: median(values),
            high: at((1.0 + CONFIDENCE) / 2.0),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} [{:.2}, {:.2}]", self.middle, self.low, self.high)
    }
}

/// What a run says of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not beyond the limit for sure.
    Within,
    /// The whole interval is beyond the limit.
    Beyond,
    /// The baseline differs from itself by more than the limit allows the candidate to.
    Inconclusive,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Within => "within",
            Verdict::Beyond => "BEYOND",
            Verdict::Inconclusive => "inconclusive",
        })
    }
}

/// A judged run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Candidate to baseline.
    pub ratio: Interval,
    /// Baseline to baseline.
    pub noise: Interval,
    pub verdict: Verdict,
}

/// Judges the turns of one run.
pub fn judge(turns: &[Turn], limit: f64) -> Result<Judgement> {
    ensure!(turns.len() * 2 >= PAIRS_MIN, "too few pairs");
    ensure!(limit > 1.0, "noise can only be judged by a limit above 1");
    let ratios: Vec<f64> = turns
        .iter()
        .flat_map(|Turn([a1, b1, b2, a2])| [b1 / a1, b2 / a2])
        .collect();
    let self_ratios: Vec<f64> = turns.iter().map(|Turn([a1, .., a2])| a2 / a1).collect();
    let (ratio, noise) = (
        Interval::of_median(&ratios),
        Interval::of_median(&self_ratios),
    );
    let verdict = if noise.high > limit || noise.low < 1.0 / limit {
        Verdict::Inconclusive
    } else if ratio.low > limit {
        Verdict::Beyond
    } else {
        Verdict::Within
    };
    Ok(Judgement {
        ratio,
        noise,
        verdict,
    })
}

/// Judges a case by its threshold; what is beyond it has to be so twice.
pub async fn check<F>(
    name: &str,
    thresholds: &Thresholds,
    mut measure: impl FnMut() -> F,
) -> Result<Judgement>
where
    F: Future<Output = Result<Vec<Turn>>>,
{
    let limit = limit(thresholds, name)?;
    let first = judge(&measure().await?, limit)?;
    if first.verdict != Verdict::Beyond {
        return Ok(first);
    }
    judge(&measure().await?, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::time::Instant;

    /// Turns with noise of so many percent on every time.
    fn turns(candidate: f64, percent: u64) -> Vec<Turn> {
        let mut random = Random::new(7);
        let mut noisy = |time: f64| {
            time * (1.0 + random.below(2 * percent + 1) as f64 / 100.0 - percent as f64 / 100.0)
        };
        (0..10)
            .map(|_| Turn([noisy(1.0), noisy(candidate), noisy(candidate), noisy(1.0)]))
            .collect()
    }

    fn verdict(turns: &[Turn]) -> Verdict {
        judge(turns, 1.5).unwrap().verdict
    }

    #[test]
    fn noise_alone_is_no_regression() {
        assert_eq!(verdict(&turns(1.0, 10)), Verdict::Within);
        assert_eq!(verdict(&turns(1.3, 10)), Verdict::Within);
    }

    #[test]
    fn a_slowdown_by_two_is_caught() {
        assert_eq!(verdict(&turns(2.0, 10)), Verdict::Beyond);
    }

    #[test]
    fn a_ratio_at_the_limit_is_not_beyond_it() {
        assert_eq!(verdict(&turns(1.5, 10)), Verdict::Within);
    }

    #[test]
    fn a_baseline_that_differs_from_itself_tells_nothing() {
        let drifting = [Turn([1.0, 2.0, 2.0, 1.8]); 10];
        assert_eq!(verdict(&drifting), Verdict::Inconclusive);
    }

    #[test]
    fn a_few_pairs_are_not_enough() {
        assert!(judge(&[Turn([1.0; 4]); 3], 1.5).is_err());
    }

    #[test]
    fn every_threshold_has_a_reason() {
        assert!(!thresholds().unwrap().is_empty());
    }

    /// The canary: work that really takes twice as long.
    #[tokio::test]
    async fn real_work_twice_as_long_is_caught_and_confirmed() {
        let spin = |rounds: u64| {
            let started = Instant::now();
            let mut random = Random::new(1);
            for _ in 0..rounds {
                black_box(random.number());
            }
            started.elapsed().as_secs_f64()
        };
        let measure = |factor: u64| {
            move || async move {
                let rounds = 200_000;
                let turn = || {
                    Turn([
                        spin(rounds),
                        spin(factor * rounds),
                        spin(factor * rounds),
                        spin(rounds),
                    ])
                };
                Ok((0..15).map(|_| turn()).collect())
            }
        };
        let limits = Thresholds::from([(
            "spin".to_owned(),
            Threshold {
                limit: 1.5,
                reason: "half of the canary's slowdown".into(),
            },
        )]);
        let slow = check("spin", &limits, measure(2)).await.unwrap();
        assert_ne!(slow.verdict, Verdict::Within, "{slow:?}");
        assert!(slow.ratio.middle > 1.5, "{slow:?}");
        let same = check("spin", &limits, measure(1)).await.unwrap();
        assert_ne!(same.verdict, Verdict::Beyond, "{same:?}");
    }
}

//! Whether deltas or a recomputation cost less, learnt from the times of a stream table's own refreshes. Pure.
//!
//! The time for `n` change rows is estimated from past refreshes of similar size. If there is none, it is the estimate
//! from table sizes ([`Prior`]), times the pace of this stream table on this machine: the ratio of actual to estimated
//! time of the refresh of the closest size, or else of a recomputation. A recomputation is
//! expected to take as long as the last one, or as the first fill; without either, as estimated from sizes.
//!
//! The choice changes only if the other is better by [`HYSTERESIS`]. Because data and machine change,
//! the other is tried once in [`PATIENCE`] refreshes of a size, unless it seems hopeless.

/// Microseconds per row that is written by its key, in each table.
const WRITTEN_US: f64 = 4.0;
/// Microseconds per change row for which nothing has to be looked up: more than anything but a recursion takes.
const DEAR_US: f64 = 8.0;
/// Up to so many milliseconds deltas are not questioned: a recomputation that saves a few of them is not
/// worth the rows that it reads.
const CHEAP_MS: f64 = 20.0;
/// How much better the other way has to be.
const HYSTERESIS: f64 = 1.15;
/// How many refreshes of a size go the same way before the other is tried.
const PATIENCE: usize = 16;
/// By how much worse a way may have been that is tried again.
const HOPELESS: f64 = 4.0;
/// The same for one that has not been tried with so many rows.
const HOPELESS_UNTRIED: f64 = 10.0;
/// Sizes are alike up to this factor.
const ALIKE: f64 = 3.0;
/// How many refreshes of a size are averaged.
const LAST: usize = 5;
/// Refreshes that took less, or are expected to, show nothing about the pace of large ones: it is the statements
/// that take the time, not the rows.
const TELLING_MS: f64 = 5.0;
/// By how much reality may differ from what sizes let expect.
const PACE: std::ops::RangeInclusive<f64> = 0.05..=20.0;

/// How a refresh went about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From deltas.
    Deltas,
    /// By computing everything again.
    Recomputation,
}

/// What a refresh has taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Which way it went.
    pub way: Way,
    /// Change rows that there were, 0 if that is not known.
    pub rows: u64,
    /// How long it took.
    pub ms: f64,
}

/// What is expected without a history.
#[derive(Debug, Clone, Default)]
pub struct Prior {
    /// Milliseconds of a recomputation.
    pub again_ms: f64,
    /// Microseconds to read a change row and compute what follows from it.
    pub change_us: f64,
    /// The rows of each table that is written: at most so many are, whatever the changes.
    pub written: Vec<f64>,
}

impl Prior {
    /// Milliseconds for so many change rows.
    fn deltas_ms(&self, rows: u64) -> f64 {
        let rows = rows as f64;
        let written: f64 = self.written.iter().map(|table| rows.min(*table)).sum();
        (rows * self.change_us + written * WRITTEN_US) / 1e3
    }
}

/// How many change rows deltas are certain to be chosen for, so that nothing has to be looked up.
pub fn is_small(rows: u64) -> bool {
    rows as f64 * DEAR_US / 1e3 <= CHEAP_MS / 4.0
}

/// The way for so many change rows, given the refreshes so far, oldest first.
pub fn choose(rows: u64, samples: &[Sample], prior: &Prior) -> Way {
    let of_way = |way| samples.iter().rev().filter(move |s| s.way == way);
    let again = of_way(Way::Recomputation).next();
    let again_ms = again.map_or(prior.again_ms, |sample| sample.ms);
    let (deltas_ms, is_tried) = expected_ms(rows, samples, prior);
    if deltas_ms <= CHEAP_MS {
        return Way::Deltas;
    }
    let alike: Vec<Way> = samples
        .iter()
        .rev()
        .filter(|sample| is_alike(sample.rows, rows))
        .map(|sample| sample.way)
        .take(PATIENCE)
        .collect();
    let in_use = alike.first().copied();
    let (deltas_bias, again_bias) = match in_use {
        Some(Way::Deltas) => (1.0, HYSTERESIS),
        Some(Way::Recomputation) => (HYSTERESIS, 1.0),
        None => (1.0, 1.0),
    };
    let (better, other_is) = if deltas_ms * deltas_bias <= again_ms * again_bias {
        (Way::Deltas, again_ms / deltas_ms)
    } else {
        (Way::Recomputation, deltas_ms / again_ms)
    };
    let is_old = alike.len() == PATIENCE && alike.iter().all(|way| *way == better);
    let hopeless = match better {
        Way::Recomputation if !is_tried => HOPELESS_UNTRIED,
        Way::Recomputation | Way::Deltas => HOPELESS,
    };
    if is_old && other_is < hopeless {
        return match better {
            Way::Deltas => Way::Recomputation,
            Way::Recomputation => Way::Deltas,
        };
    }
    better
}

fn is_alike(a: u64, b: u64) -> bool {
    let (a, b) = (a as f64, b as f64);
    a > 0.0 && a <= b * ALIKE && b <= a * ALIKE
}

/// What deltas of so many rows are expected to take, and whether about as many have been tried.
fn expected_ms(rows: u64, samples: &[Sample], prior: &Prior) -> (f64, bool) {
    let deltas = || {
        samples
            .iter()
            .rev()
            .filter(|s| s.way == Way::Deltas && s.rows > 0)
    };
    let mut per_row: Vec<f64> = deltas()
        .filter(|sample| is_alike(sample.rows, rows))
        .take(LAST)
        .map(|sample| sample.ms / sample.rows as f64)
        .collect();
    per_row.sort_by(f64::total_cmp);
    if let Some(median) = per_row.get(per_row.len() / 2) {
        return (median * rows as f64, true);
    }
    let expected = prior.deltas_ms(rows);
    let distance = |sample: &&Sample| (sample.rows as f64 / rows as f64).ln().abs();
    let telling =
        deltas().filter(|sample| sample.ms.min(5.0 * prior.deltas_ms(sample.rows)) >= TELLING_MS);
    let untried_ms = match telling.min_by(|a, b| distance(a).total_cmp(&distance(b))) {
        Some(closest) => {
            let ms = expected * pace(closest.ms, prior.deltas_ms(closest.rows));
            // More rows take no less, fewer no more.
            match closest.rows > rows {
                true => ms.min(closest.ms),
                false => ms.max(closest.ms),
            }
        }
        None => {
            let again = samples.iter().rev().find(|s| s.way == Way::Recomputation);
            let again = again.filter(|_| prior.again_ms >= TELLING_MS);
            expected * again.map_or(1.0, |sample| pace(sample.ms, prior.again_ms))
        }
    };
    (untried_ms, false)
}

/// What was taken in proportion to what was expected.
fn pace(took_ms: f64, expected_ms: f64) -> f64 {
    if expected_ms >= TELLING_MS / 5.0 {
        (took_ms / expected_ms).clamp(*PACE.start(), *PACE.end())
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn deltas(rows: u64, ms: f64) -> Sample {
        Sample {
            way: Way::Deltas,
            rows,
            ms,
        }
    }

    fn again(rows: u64, ms: f64) -> Sample {
        Sample {
            way: Way::Recomputation,
            rows,
            ms,
        }
    }

    /// A million rows in a hundred thousand groups.
    fn groups() -> Prior {
        Prior {
            again_ms: 450.0,
            change_us: 1.0,
            written: vec![100_000.0],
        }
    }

    fn choose(rows: u64, samples: &[Sample]) -> Way {
        super::choose(rows, samples, &groups())
    }

    #[test]
    fn without_a_history_sizes_decide() {
        for samples in [vec![], vec![deltas(1, 0.3)], vec![again(0, 350.0)]] {
            assert_eq!(choose(40_000, &samples), Way::Deltas);
            assert_eq!(choose(200_000, &samples), Way::Recomputation);
            assert_eq!(choose(2_000_000, &samples), Way::Recomputation);
        }
    }

    #[test]
    fn what_is_expected_follows_the_pace_of_the_machine() {
        // Three times as slow as expected, at either.
        let slow = [again(0, 1_350.0), deltas(40_000, 600.0)];
        assert_eq!(choose(200_000, &slow), Way::Recomputation);
        assert_eq!(choose(60_000, &slow[..1]), Way::Deltas);
        // Deltas alone are slower than expected.
        let slow = [again(0, 450.0), deltas(20_000, 400.0)];
        assert_eq!(choose(70_000, &slow), Way::Recomputation);
    }

    #[test]
    fn what_it_takes_to_begin_is_no_pace() {
        let tiny = Prior {
            again_ms: 0.2,
            change_us: 2.0,
            written: vec![100.0],
        };
        // Creating its tables took 30 ms.
        assert_eq!(super::choose(2_000, &[again(0, 30.0)], &tiny), Way::Deltas);
        let slow_start = [again(0, 30.0), deltas(10, 9.0)];
        assert_eq!(super::choose(2_000, &slow_start, &tiny), Way::Deltas);
    }

    #[test]
    fn a_few_groups_are_written_once_whatever_the_changes() {
        let few = Prior {
            again_ms: 300.0,
            change_us: 1.0,
            written: vec![50.0],
        };
        assert_eq!(super::choose(200_000, &[], &few), Way::Deltas);
        assert_eq!(super::choose(2_000_000, &[], &few), Way::Recomputation);
    }

    #[test]
    fn a_first_fill_is_enough_to_see_that_changing_everything_costs_more() {
        let first_fill = [again(0, 500.0), deltas(1, 0.3), deltas(100, 2.0)];
        assert_eq!(choose(2_000_000, &first_fill), Way::Recomputation);
        assert_eq!(choose(20_000, &first_fill), Way::Deltas);
    }

    #[test]
    fn a_tiny_table_is_not_recomputed_to_save_milliseconds() {
        assert_eq!(
            choose(1_000, &[again(0, 0.5), deltas(1_000, 9.0)]),
            Way::Deltas
        );
        assert!(is_small(10));
    }

    #[test]
    fn what_deltas_of_about_this_size_took_is_believed() {
        let slow = [again(0, 500.0), deltas(20_000, 900.0)];
        assert_eq!(choose(25_000, &slow), Way::Recomputation);
        let fast = [again(0, 500.0), deltas(20_000, 100.0)];
        assert_eq!(choose(25_000, &fast), Way::Deltas);
    }

    #[test]
    fn a_way_in_use_is_not_left_for_a_little() {
        let in_use = [again(0, 100.0), deltas(10_000, 110.0)];
        assert_eq!(choose(10_000, &in_use), Way::Deltas);
        let other = [deltas(10_000, 95.0), again(10_000, 100.0)];
        assert_eq!(choose(10_000, &other), Way::Recomputation);
    }

    /// A machine on which each way takes what it takes.
    struct Machine {
        fixed_ms: f64,
        per_row_ms: f64,
        again_ms: f64,
        samples: Vec<Sample>,
    }

    impl Machine {
        fn deltas_ms(&self, rows: u64) -> f64 {
            self.fixed_ms + self.per_row_ms * rows as f64
        }

        /// Refreshes, and returns what that took and what the better way takes.
        fn refresh(&mut self, rows: u64) -> (f64, f64) {
            let way = choose(rows, &self.samples);
            let ms = match way {
                Way::Deltas => self.deltas_ms(rows),
                Way::Recomputation => self.again_ms,
            };
            self.samples.push(Sample { way, rows, ms });
            (ms, self.deltas_ms(rows).min(self.again_ms))
        }
    }

    proptest! {
        #[test]
        fn in_the_long_run_little_is_lost_against_the_better_way(
            per_row_us in 0.5_f64..100.0,
            again_ms in 1.0_f64..5_000.0,
            sizes in prop::collection::vec(1_u64..2_000_000, 1..4),
        ) {
            let mut machine = Machine {
                fixed_ms: 0.3,
                per_row_ms: per_row_us / 1e3,
                again_ms,
                samples: vec![again(0, again_ms)],
            };
            for rows in sizes {
                // The other way is tried once, whatever that costs.
                for _ in 0..3 * PATIENCE {
                    machine.refresh(rows);
                }
                let (mut took, mut best) = (0.0, 0.0);
                for _ in 0..64 {
                    let (ms, better_ms) = machine.refresh(rows);
                    took += ms;
                    best += better_ms;
                }
                prop_assert!(
                    took <= best * 1.4 + 64.0 * CHEAP_MS,
                    "{rows} rows: {took} instead of {best}"
                );
            }
        }

        #[test]
        fn a_change_of_what_costs_less_is_found_out(rows in 50_000_u64..100_000) {
            let mut machine = Machine {
                fixed_ms: 0.3,
                per_row_ms: 200.0 / rows as f64,
                again_ms: 100.0,
                samples: vec![again(0, 100.0)],
            };
            for _ in 0..20 {
                machine.refresh(rows);
            }
            prop_assert_eq!(choose(rows, &machine.samples), Way::Recomputation);
            // Deltas have become cheap.
            machine.per_row_ms = 10.0 / rows as f64;
            for _ in 0..4 * PATIENCE {
                machine.refresh(rows);
            }
            prop_assert_eq!(choose(rows, &machine.samples), Way::Deltas);
        }
    }
}

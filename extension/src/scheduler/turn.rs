//! Which due stream table is next, and how long one pauses after a refresh. Time is passed in.
//!
//! ```text
//! urgency = time since it was due ÷ (its period, between 1 s and 1 min, + what a refresh costs)
//! ```
//!
//! The most urgent goes first. Another can overtake a waiting one only after waiting
//! longer in proportion, so each other stream table delays it a limited number of times, and it waits
//! at most `2/k · Σ (cost + g) · (2 + own weight ÷ other's weight)` with `k` workers, where `g`
//! is the time that other readers of the same sources may add to a job (`tables/group.rs`). If the work exceeds
//! the workers' capacity, all fall behind in proportion to their weights.

use std::num::NonZeroU32;
use std::time::Duration;

/// A shorter period does not make a table more urgent.
const PERIOD_MIN: Duration = Duration::from_secs(1);
/// A longer period does not make a table less urgent.
const PERIOD_MAX: Duration = Duration::from_secs(60);
/// The weight of the last refresh in the average.
const LAST: f64 = 0.25;

/// The first rest of one that is locked.
const BLOCKED_REST: Duration = Duration::from_millis(25);
/// The longest.
const BLOCKED_REST_MAX: Duration = Duration::from_secs(1);
/// After how many tries one waits again.
const PATIENT_EVERY: u32 = 16;

/// What refreshes of a stream table have taken.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    average: Option<Duration>,
    last: Duration,
}

impl Cost {
    /// A refresh took so long.
    pub fn learn(&mut self, took: Duration) {
        self.average = Some(match self.average {
            None => took,
            Some(average) => average.mul_f64(1.0 - LAST) + took.mul_f64(LAST),
        });
        self.last = took;
    }

    /// What the next one can be expected to take; `None` before the first.
    pub fn known(&self) -> Option<Duration> {
        self.average
    }

    /// The same, nothing before the first.
    pub fn expected(&self) -> Duration {
        self.average.unwrap_or_default()
    }

    /// From the start of one refresh to that of the next: `min` at least, and such that they take
    /// this share of a core at most; but the table does not rest for longer than `rest_max` to
    /// achieve that.
    pub fn pause(&self, min: Duration, share_percent: u32, rest_max: Duration) -> Duration {
        let whole = self.last.saturating_mul(100) / share_percent.max(1);
        min.max(whole.min(self.last.saturating_add(rest_max)))
    }
}

/// How long one rests that was locked when it was its turn, so many times in a row. The first rest is as short as the locks
/// of most statements; the longest is what the table stays behind, at most, once it is let go.
pub fn rest_of_blocked(times: NonZeroU32) -> Duration {
    let longer = 1_u32.checked_shl(times.get() - 1).unwrap_or(u32::MAX);
    BLOCKED_REST.saturating_mul(longer).min(BLOCKED_REST_MAX)
}

/// Whether the next try waits for its locks, in the queue with others that want them, so that it gets its turn between
/// sessions which lock the table one after the other. The tries between these do not keep a worker.
pub fn is_patient(times: NonZeroU32) -> bool {
    times.get() % PATIENT_EVERY <= 1
}

/// How urgent a refresh is that has been due for this long.
pub fn urgency(overdue: Duration, period: Duration, cost: &Cost) -> f64 {
    overdue.as_secs_f64() / weight(period, cost).as_secs_f64()
}

fn weight(period: Duration, cost: &Cost) -> Duration {
    period.clamp(PERIOD_MIN, PERIOD_MAX) + cost.expected()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn cost(took: Duration) -> Cost {
        let mut cost = Cost::default();
        cost.learn(took);
        cost
    }

    #[test]
    fn a_pause_grows_with_the_cost_and_is_bounded() {
        let pause = |took| cost(took).pause(ms(5), 50, ms(1000));
        assert_eq!(pause(ms(1)), ms(5), "there is room");
        assert_eq!(pause(ms(40)), ms(80));
        assert_eq!(pause(ms(5000)), ms(6000), "bounded");
        assert_eq!(cost(ms(40)).pause(ms(5), 100, ms(1000)), ms(40));
    }

    #[test]
    fn one_cheap_refresh_ends_the_rests_of_dear_ones() {
        let mut cost = cost(ms(500));
        cost.learn(ms(1));
        assert_eq!(cost.pause(ms(5), 50, ms(1000)), ms(5));
        assert!(cost.expected() > ms(300));
    }

    #[test]
    fn what_is_locked_rests_longer_and_longer_up_to_a_second() {
        let times = |n| NonZeroU32::new(n).expect("one at least");
        let rest = |n| rest_of_blocked(times(n));
        assert_eq!([rest(1), rest(2), rest(3)], [ms(25), ms(50), ms(100)]);
        assert_eq!([rest(7), rest(60), rest(u32::MAX)], [ms(1000); 3]);
        let patient: Vec<u32> = (1..40).filter(|n| is_patient(times(*n))).collect();
        assert_eq!(patient, [1, 16, 17, 32, 33]);
    }

    #[test]
    fn what_waits_becomes_more_urgent_without_bound() {
        let dear = cost(ms(10_000));
        let of = |overdue| urgency(overdue, ms(20_000), &dear);
        assert!(of(ms(2000)) < of(ms(2001)));
        assert!(of(Duration::from_secs(86_400)) > 1_000.0);
    }

    #[test]
    fn the_cheap_and_frequent_go_before_the_dear_and_rare_that_are_as_late() {
        let late = ms(500);
        let cheap = urgency(late, ms(5), &cost(ms(1)));
        assert!(cheap > urgency(late, ms(5), &cost(ms(5000))));
        assert!(cheap > urgency(late, Duration::from_secs(3600), &cost(ms(1))));
    }
}

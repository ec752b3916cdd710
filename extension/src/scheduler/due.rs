//! When a stream table is due. No server here: time is passed in.

use std::time::{Duration, Instant, SystemTime};

use pgtrickle_dvm::schedule::{self, Schedule};

/// What a due time depends on besides the table.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Monotonic.
    pub now: Instant,
    /// Of the wall, for cron.
    pub wall: SystemTime,
    /// How long a calculated table rests.
    pub rest: Duration,
    /// How often a calculated table is recomputed whose sources tell nothing.
    pub full: Duration,
    /// Of cron expressions.
    pub time_zone: String,
}

/// When a stream table is to be refreshed.
#[derive(Debug, Clone)]
pub struct Due {
    schedule: Schedule,
    /// Whether its sources tell of every change of its content.
    is_told: bool,
    /// Something that it reads has changed, or it is not known whether.
    pub is_dirty: bool,
    /// Not before, after a failure.
    pub retry_at: Option<Instant>,
    last_start: Option<Instant>,
    next_match: Option<SystemTime>,
}

impl Due {
    /// Of a table that has just become known. One that has been filled waits for the first match of
    /// a cron expression; everything else is looked at now.
    pub fn new(schedule: Schedule, is_told: bool, is_filled: bool, clock: &Clock) -> Self {
        let next_match = match &schedule {
            Schedule::Cron(cron) if is_filled => {
                schedule::next_match(cron, clock.wall, &clock.time_zone)
            }
            _ => Some(clock.wall),
        };
        Due {
            schedule,
            is_told,
            is_dirty: true,
            retry_at: None,
            last_start: None,
            next_match,
        }
    }

    /// Takes over what is known of the same table under its former definition.
    pub fn inherit(&mut self, former: &Due) {
        self.last_start = former.last_start;
    }

    /// Whether it follows its sources, so that it is refreshed together with them.
    pub fn follows(&self) -> bool {
        self.is_told && matches!(self.schedule, Schedule::Calculated)
    }

    /// How long until it is due, zero if it is; `None`: not until something happens.
    pub fn wait(&self, clock: &Clock) -> Option<Duration> {
        let since_start = |pause: Duration| {
            self.last_start.map_or(Duration::ZERO, |start| {
                (start + pause).saturating_duration_since(clock.now)
            })
        };
        let scheduled = match &self.schedule {
            Schedule::Calculated if self.is_dirty => since_start(clock.rest),
            Schedule::Calculated if self.is_told => return None,
            Schedule::Calculated => since_start(clock.full),
            Schedule::Every(interval) => since_start(*interval),
            Schedule::Cron(_) => self
                .next_match?
                .duration_since(clock.wall)
                .unwrap_or(Duration::ZERO),
        };
        let retry = self
            .retry_at
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(clock.now));
        Some(scheduled.max(retry))
    }

    /// A refresh of it begins.
    pub fn begin(&mut self, clock: &Clock) {
        self.is_dirty = false;
        self.last_start = Some(clock.now);
        if let Schedule::Cron(cron) = &self.schedule {
            self.next_match = schedule::next_match(cron, clock.wall, &clock.time_zone);
        }
    }

    /// The refresh that had begun has not come to anything: it is due as before.
    pub fn undo(&mut self, clock: &Clock) {
        self.is_dirty = true;
        match self.schedule {
            Schedule::Cron(_) => self.next_match = Some(clock.wall),
            Schedule::Every(_) => self.last_start = None,
            Schedule::Calculated => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_millis(5);
    const FULL: Duration = Duration::from_secs(60);

    fn clock() -> Clock {
        Clock {
            now: Instant::now(),
            // The full hour.
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_768_478_400),
            rest: REST,
            full: FULL,
            time_zone: "UTC".to_owned(),
        }
    }

    fn due(schedule: &str, is_told: bool, clock: &Clock) -> Due {
        let schedule = schedule.parse().expect("a schedule");
        Due::new(schedule, is_told, true, clock)
    }

    fn later(clock: &Clock, by: Duration) -> Clock {
        Clock {
            now: clock.now + by,
            wall: clock.wall + by,
            ..clock.clone()
        }
    }

    #[test]
    fn a_calculated_table_is_due_when_dirty_and_rested() {
        let clock = clock();
        let mut due = due("calculated", true, &clock);
        assert_eq!(
            due.wait(&clock),
            Some(Duration::ZERO),
            "nothing is known yet"
        );
        due.begin(&clock);
        assert_eq!(due.wait(&clock), None);
        due.is_dirty = true;
        assert_eq!(due.wait(&clock), Some(REST));
        assert_eq!(due.wait(&later(&clock, REST)), Some(Duration::ZERO));
    }

    #[test]
    fn a_table_whose_sources_tell_nothing_is_recomputed_at_intervals() {
        let clock = clock();
        let mut due = due("calculated", false, &clock);
        due.begin(&clock);
        assert_eq!(due.wait(&clock), Some(FULL));
        due.is_dirty = true;
        assert_eq!(due.wait(&clock), Some(REST));
    }

    #[test]
    fn an_interval_counts_from_the_start_of_the_last_refresh() {
        let clock = clock();
        let mut due = due("2s", true, &clock);
        due.begin(&clock);
        let at = later(&clock, Duration::from_millis(500));
        assert_eq!(due.wait(&at), Some(Duration::from_millis(1500)));
        due.is_dirty = true;
        assert_eq!(due.wait(&at), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn cron_waits_for_its_match_and_goes_on_to_the_next() {
        let clock = clock();
        let mut due = due("*/5 * * * *", true, &clock);
        let five = Duration::from_secs(300);
        assert_eq!(due.wait(&clock), Some(five));
        let at = later(&clock, five);
        assert_eq!(due.wait(&at), Some(Duration::ZERO));
        due.begin(&at);
        assert_eq!(due.wait(&at), Some(five));
        due.undo(&at);
        assert_eq!(due.wait(&at), Some(Duration::ZERO));
    }

    #[test]
    fn a_failed_table_waits_for_its_retry() {
        let clock = clock();
        let mut due = due("calculated", true, &clock);
        due.retry_at = Some(clock.now + Duration::from_secs(3));
        assert_eq!(due.wait(&clock), Some(Duration::from_secs(3)));
    }
}

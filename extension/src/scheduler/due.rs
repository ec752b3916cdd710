//! When a stream table is due. No server here: time is passed in.

use std::time::{Duration, Instant, SystemTime};

use pgtrickle_dvm::schedule::{self, Schedule};

use super::turn::{self, Cost};

/// What a due time depends on besides the table.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Monotonic.
    pub now: Instant,
    /// Of the wall, for cron.
    pub wall: SystemTime,
    /// How long a calculated table rests at least, from start to start.
    pub rest: Duration,
    /// How much of a core its refreshes take, as far as longer rests can achieve that.
    pub share_percent: u32,
    /// For how long a calculated table rests at most to keep to that share.
    pub rest_max: Duration,
    /// How often a calculated table is refreshed when its sources cannot signal changes.
    pub full: Duration,
    /// Of cron expressions.
    pub time_zone: String,
}

/// When a stream table is to be refreshed.
#[derive(Debug, Clone)]
pub struct Due {
    schedule: Schedule,
    /// Whether its sources signal every change of its content.
    is_told: bool,
    /// Since when something that it reads has changed, or it is not known whether.
    dirty_since: Option<Instant>,
    /// Not before, after a failure.
    pub retry_at: Option<Instant>,
    /// What its refreshes have taken.
    pub cost: Cost,
    /// The start of the last refresh, or since when the table wants one, if there was none.
    last: Last,
    next_match: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy)]
enum Last {
    Started(Instant),
    WantedSince(Instant),
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
            dirty_since: Some(clock.now),
            retry_at: None,
            cost: Cost::default(),
            last: Last::WantedSince(clock.now),
            next_match,
        }
    }

    /// Takes over what is known of the same table under its former definition: it does not lose the
    /// time that it has waited.
    pub fn inherit(&mut self, former: &Due) {
        self.last = former.last;
        self.cost = former.cost;
        self.dirty_since = former.dirty_since.or(self.dirty_since);
        if let (Schedule::Cron(own), Schedule::Cron(other)) = (&self.schedule, &former.schedule)
            && own.pattern == other.pattern
        {
            self.next_match = former.next_match;
        }
    }

    /// Nothing that it reads has changed.
    pub fn rest(&mut self) {
        self.dirty_since = None;
    }

    /// Something that it reads has changed.
    pub fn mark(&mut self, clock: &Clock) {
        self.dirty_since.get_or_insert(clock.now);
    }

    /// Whether it follows its sources, so that it is refreshed together with them.
    pub fn follows(&self) -> bool {
        self.is_told && matches!(self.schedule, Schedule::Calculated)
    }

    /// Whether it will not be due until something happens.
    pub fn is_quiet(&self) -> bool {
        matches!(self.schedule, Schedule::Calculated) && self.is_told && self.dirty_since.is_none()
    }

    /// How long until it is due, zero if it is; `None`: not until something happens.
    pub fn wait(&self, clock: &Clock) -> Option<Duration> {
        Some(self.at(clock)?.saturating_duration_since(clock.now))
    }

    /// How urgent it is, if it is due.
    pub fn urgency(&self, clock: &Clock) -> Option<f64> {
        let overdue = clock.now.checked_duration_since(self.at(clock)?)?;
        Some(turn::urgency(overdue, self.period(clock), &self.cost))
    }

    /// From the start of one refresh to that of the next, as far as that is up to time.
    pub fn period(&self, clock: &Clock) -> Duration {
        match &self.schedule {
            Schedule::Calculated if self.is_told => self.pause(clock),
            Schedule::Calculated => clock.full,
            Schedule::Every(interval) => *interval,
            Schedule::Cron(_) => Duration::MAX,
        }
    }

    fn pause(&self, clock: &Clock) -> Duration {
        self.cost
            .pause(clock.rest, clock.share_percent, clock.rest_max)
    }

    /// When it is due, or was.
    fn at(&self, clock: &Clock) -> Option<Instant> {
        let after = |pause: Duration| match self.last {
            Last::Started(start) => start + pause,
            Last::WantedSince(since) => since,
        };
        let scheduled = match &self.schedule {
            Schedule::Calculated => match self.dirty_since {
                Some(since) => since.max(after(self.pause(clock))),
                None if self.is_told => return None,
                None => after(clock.full.max(self.pause(clock))),
            },
            Schedule::Every(interval) => after(*interval),
            Schedule::Cron(_) => monotonic(self.next_match?, clock),
        };
        Some(self.retry_at.map_or(scheduled, |at| at.max(scheduled)))
    }

    /// A refresh of it begins.
    pub fn begin(&mut self, clock: &Clock) {
        self.dirty_since = None;
        self.last = Last::Started(clock.now);
        if let Schedule::Cron(cron) = &self.schedule {
            self.next_match = schedule::next_match(cron, clock.wall, &clock.time_zone);
        }
    }

    /// The refresh that had begun has not come to anything: it is due as before.
    pub fn undo(&mut self, clock: &Clock) {
        self.mark(clock);
        match self.schedule {
            Schedule::Cron(_) => self.next_match = Some(clock.wall),
            Schedule::Every(_) => self.last = Last::WantedSince(clock.now),
            Schedule::Calculated => {}
        }
    }
}

/// A time of the wall on the monotonic clock.
fn monotonic(wall: SystemTime, clock: &Clock) -> Instant {
    match wall.duration_since(clock.wall) {
        Ok(ahead) => clock.now + ahead,
        Err(past) => clock.now.checked_sub(past.duration()).unwrap_or(clock.now),
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
            share_percent: 50,
            rest_max: Duration::from_secs(1),
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
        due.mark(&clock);
        assert_eq!(due.wait(&clock), Some(REST));
        assert_eq!(due.wait(&later(&clock, REST)), Some(Duration::ZERO));
    }

    #[test]
    fn a_table_whose_sources_tell_nothing_is_recomputed_at_intervals() {
        let clock = clock();
        let mut due = due("calculated", false, &clock);
        due.begin(&clock);
        assert_eq!(due.wait(&clock), Some(FULL));
        due.mark(&clock);
        assert_eq!(due.wait(&clock), Some(REST));
    }

    #[test]
    fn an_interval_counts_from_the_start_of_the_last_refresh() {
        let clock = clock();
        let mut due = due("2s", true, &clock);
        due.begin(&clock);
        let at = later(&clock, Duration::from_millis(500));
        assert_eq!(due.wait(&at), Some(Duration::from_millis(1500)));
        due.mark(&clock);
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

    #[test]
    fn a_table_that_waits_keeps_its_turn_when_its_definition_is_read_again() {
        let clock = clock();
        let waits = |schedule: &str| {
            let known = due(schedule, true, &clock);
            let at = later(&clock, Duration::from_secs(400));
            let before = known.urgency(&at);
            let mut again = due(schedule, true, &at);
            again.inherit(&known);
            assert_eq!(again.urgency(&at), before, "{schedule}");
            before
        };
        for schedule in ["calculated", "2s", "*/5 * * * *"] {
            assert!(
                waits(schedule).is_some_and(|urgency| urgency > 1.0),
                "{schedule}"
            );
        }
    }

    #[test]
    fn a_dear_table_rests_in_proportion_and_is_late_only_after_that() {
        let clock = clock();
        let mut due = due("calculated", true, &clock);
        due.begin(&clock);
        due.cost.learn(Duration::from_millis(200));
        due.mark(&clock);
        assert_eq!(due.wait(&clock), Some(Duration::from_millis(400)));
        let at = later(&clock, Duration::from_millis(399));
        assert_eq!(due.urgency(&at), None);
        let at = later(&clock, Duration::from_millis(500));
        assert!(due.urgency(&at).is_some_and(|urgency| urgency > 0.0));
    }
}

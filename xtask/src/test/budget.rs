//! How long all suites together may take.

use std::time::{Duration, Instant};

/// From the start on; without an end, everything is in time.
pub struct Budget {
    started: Instant,
    whole: Option<Duration>,
}

impl Budget {
    /// Of so many minutes, beginning now.
    pub fn new(minutes: Option<u64>) -> Self {
        Self {
            started: Instant::now(),
            whole: minutes.map(|minutes| Duration::from_secs(minutes * 60)),
        }
    }

    /// What everything up to now took.
    pub fn spent(&self) -> Duration {
        self.started.elapsed()
    }

    /// What is left; nothing where there is no end.
    pub fn left(&self) -> Option<Duration> {
        self.whole.map(|whole| whole.saturating_sub(self.spent()))
    }

    /// When it ends, if it does.
    pub fn end(&self) -> Option<Instant> {
        self.whole.map(|whole| self.started + whole)
    }

    /// Whether work of this length that begins now would end in time.
    pub fn is_enough_for(&self, work: Duration) -> bool {
        self.left().is_none_or(|left| work < left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_begins_only_if_it_would_end_in_time() {
        let minute = Duration::from_secs(60);
        assert!(Budget::new(None).is_enough_for(minute));
        assert!(Budget::new(Some(2)).is_enough_for(minute));
        assert!(!Budget::new(Some(1)).is_enough_for(minute));
        assert_eq!(Budget::new(Some(0)).left(), Some(Duration::ZERO));
    }
}

//! When something was broken on purpose. Errors are excused inside of a window; results never are.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long after the end of a fault its errors may still arrive.
const ECHO: Duration = Duration::from_secs(3);

/// How long a session may be without use before it notices that its connection has gone.
const UNUSED: Duration = Duration::from_secs(30);

/// A fault, from before it strikes until all is well again.
#[derive(Debug, Clone)]
struct Window {
    name: String,
    begin: Instant,
    end: Option<Instant>,
}

/// All faults so far.
#[derive(Debug, Default)]
pub struct Windows(Mutex<Vec<Window>>);

impl Windows {
    /// A fault is about to strike.
    pub fn open(&self, name: &str) {
        self.all().push(Window {
            name: name.to_owned(),
            begin: Instant::now(),
            end: None,
        });
    }

    /// All is well again.
    pub fn close(&self) {
        let now = Instant::now();
        for window in self.all().iter_mut().filter(|window| window.end.is_none()) {
            window.end = Some(now);
        }
    }

    /// The fault that may be the reason for an error seen now.
    pub fn current(&self) -> Option<String> {
        self.within(Instant::now(), ECHO)
    }

    /// The fault that may have taken a connection which has not been used for a while. (A process that
    /// went without a fault is in the log.)
    pub fn lately(&self) -> Option<String> {
        self.within(Instant::now(), UNUSED)
    }

    /// Whether nothing has been broken for so long.
    pub fn calm_for(&self, time: Duration) -> bool {
        self.within(Instant::now(), time).is_none()
    }

    /// The fault that was going on at that moment or had ended less than `echo` before.
    fn within(&self, moment: Instant, echo: Duration) -> Option<String> {
        let windows = self.all();
        let found = windows.iter().rev().find(|window| {
            window.begin <= moment && window.end.is_none_or(|end| moment <= end + echo)
        });
        found.map(|window| window.name.clone())
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_excused_during_a_fault_and_shortly_after_and_not_before() {
        let windows = Windows::default();
        let before = Instant::now();
        std::thread::sleep(Duration::from_millis(2));
        windows.open("kill");
        assert_eq!(windows.current().as_deref(), Some("kill"));
        assert_eq!(windows.within(before, ECHO), None);
        windows.close();
        let now = Instant::now();
        assert!(windows.within(now, ECHO).is_some());
        assert!(windows.within(now + 2 * ECHO, ECHO).is_none());
        assert!(!windows.calm_for(ECHO));
    }
}

//! What writers, faults and checkers share: the server, the journal, the verdict so far.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use harness::client::{SERIALIZATION_FAILURE, Session, SqlError};

use crate::journal::{Event, Journal};
use crate::profile::Profile;
use crate::server::Server;
use crate::sometimes::{self, Sometimes};
use crate::window::Windows;
use crate::writer::Ledger;

/// The database in which everything is.
pub const DATABASE: &str = "postgres";

/// How many violations are kept for the end; the journal has all.
const SHOWN: usize = 20;

/// The shared state of a run.
#[derive(Debug)]
pub struct Arena {
    /// The server.
    pub server: Box<dyn Server>,
    /// Where everything is written down.
    pub journal: Journal,
    /// When something was broken on purpose.
    pub windows: Windows,
    /// What has to be met.
    pub sometimes: Sometimes,
    /// How hard the run is.
    pub profile: Profile,
    /// From which everything random follows.
    pub seed: u64,
    /// What writers know to have committed.
    pub ledger: Ledger,
    /// Transactions committed.
    pub committed: AtomicU64,
    /// Refreshes judged.
    pub judged: AtomicU64,
    /// Durations of transactions since the last sample, in ms.
    pub commits_ms: Mutex<Vec<f64>>,
    /// Whether definitions may change.
    pub definitions_may_change: AtomicBool,
    writers_stop: AtomicBool,
    stop: AtomicBool,
    violations: Mutex<Vec<String>>,
}

impl Arena {
    /// Before anything happens.
    pub fn new(server: Box<dyn Server>, journal: Journal, profile: Profile, seed: u64) -> Self {
        Self {
            server,
            journal,
            windows: Windows::default(),
            sometimes: Sometimes::default(),
            profile,
            seed,
            ledger: Ledger::default(),
            committed: AtomicU64::new(0),
            judged: AtomicU64::new(0),
            commits_ms: Mutex::new(Vec::new()),
            definitions_may_change: AtomicBool::new(true),
            writers_stop: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            violations: Mutex::new(Vec::new()),
        }
    }

    /// Whether checkers go on.
    pub fn is_running(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Whether writers go on.
    pub fn writers_run(&self) -> bool {
        self.is_running() && !self.writers_stop.load(Ordering::Relaxed)
    }

    /// Ends the writing.
    pub fn stop_writers(&self) {
        self.writers_stop.store(true, Ordering::Relaxed);
    }

    /// Ends everything.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Sleeps, but not beyond the end of the run.
    pub async fn rest(&self, time: Duration) {
        let end = Instant::now() + time;
        while self.is_running() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_millis(100))).await;
        }
    }

    /// A session, as soon as the server gives one; none when the run is over.
    pub async fn connect(&self, who: &str) -> Option<Session> {
        let mut reported = false;
        while self.is_running() {
            match Session::connect(&*self.server, DATABASE).await {
                Ok(session) => match session.execute("SET lock_timeout = '3s'").await {
                    Ok(()) => return Some(session),
                    Err(error) => self.report(who, &error),
                },
                Err(error) if reported && self.windows.current().is_some() => drop(error),
                Err(error) => {
                    reported = true;
                    self.report(who, &error);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }

    /// Judges an error: may it happen, does a fault excuse it, or is it a violation?
    pub fn report(&self, who: &str, error: &SqlError) {
        let fault = match error.is_connection_loss() {
            true => self.windows.lately(),
            false => self.windows.current(),
        };
        if is_contention(error) || (is_fault(error) && fault.is_some()) {
            self.journal.write(Event::Excused {
                who: who.to_owned(),
                sqlstate: error.sqlstate.clone(),
                message: error.message.clone(),
                fault,
            });
        } else {
            self.violation(who, &error.to_string());
        }
    }

    /// Something that must not be.
    pub fn violation(&self, checker: &str, message: &str) {
        self.journal.write(Event::Violation {
            checker: checker.to_owned(),
            message: message.to_owned(),
        });
        let mut violations = self
            .violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if violations.len() < SHOWN {
            violations.push(format!(
                "{:.1} s, {checker}: {message}",
                self.journal.now_s()
            ));
        }
    }

    /// The first violations.
    pub fn violations(&self) -> Vec<String> {
        let violations = self.violations.lock();
        violations.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A checker has looked, and all was well.
    pub fn checked(&self, checker: &str, subject: &str, found: impl Into<String>) {
        self.journal.write(Event::Check {
            checker: checker.to_owned(),
            subject: subject.to_owned(),
            found: found.into(),
        });
    }

    /// Something has happened that has to happen.
    pub fn saw(&self, event: sometimes::Event) {
        if self.sometimes.saw(event) {
            self.journal.write(Event::Seen {
                what: event.name().to_owned(),
            });
        }
    }
}

/// Whether sessions that work side by side may meet this error at any time: a lock, a deadlock, a duplicate.
pub fn is_contention(error: &SqlError) -> bool {
    [SERIALIZATION_FAILURE, "40P01", "55P03", "23505"].contains(&error.sqlstate.as_str())
}

/// Whether a fault may be the reason: a lost connection, a cancelled statement.
fn is_fault(error: &SqlError) -> bool {
    error.is_connection_loss() || error.sqlstate == "57014"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(sqlstate: &str) -> SqlError {
        SqlError {
            sqlstate: sqlstate.into(),
            message: String::new(),
            detail: None,
            hint: None,
            context: None,
            sql: String::new(),
        }
    }

    #[test]
    fn only_contention_is_always_excused_and_only_loss_by_a_fault() {
        assert!(is_contention(&error("40001")) && !is_fault(&error("40001")));
        assert!(is_fault(&error("57P01")) && !is_contention(&error("57P01")));
        for sqlstate in ["XX000", "42P01", "22012"] {
            assert!(!is_contention(&error(sqlstate)) && !is_fault(&error(sqlstate)));
        }
    }
}

//! What a run must have met at least once. A soak that never saw a crash has proved nothing about crashes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Something that has to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A refresh was cancelled while it wrote its rows.
    CancelledInApply,
    /// More definitions changed than the ring holds.
    RingOverflow,
    /// A stream table was recomputed, with a reason.
    FullFallback,
    /// A drain was completed while writers went on.
    DrainUnderLoad,
    /// The server came back after a crash.
    RecoveredCrash,
    /// Every table of the chain changed in one transaction.
    WholeChainChanged,
    /// A refresh in the prefix form of the chain's delta was judged.
    PrefixFormJudged,
    /// A refresh in the inlined form was judged.
    InlinedFormJudged,
    /// A prepared transaction was committed by a session.
    PreparedCommit,
    /// A part of a transaction was rolled back.
    SavepointRollback,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::CancelledInApply,
        Self::RingOverflow,
        Self::FullFallback,
        Self::DrainUnderLoad,
        Self::RecoveredCrash,
        Self::WholeChainChanged,
        Self::PrefixFormJudged,
        Self::InlinedFormJudged,
        Self::PreparedCommit,
        Self::SavepointRollback,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::CancelledInApply => "a refresh cancelled in mid-apply",
            Self::RingOverflow => "a ring overflow",
            Self::FullFallback => "a fallback to FULL",
            Self::DrainUnderLoad => "a drain under load",
            Self::RecoveredCrash => "a recovered crash",
            Self::WholeChainChanged => "a change of the whole chain",
            Self::PrefixFormJudged => "a judged refresh in prefix form",
            Self::InlinedFormJudged => "a judged refresh in inlined form",
            Self::PreparedCommit => "a prepared transaction committed",
            Self::SavepointRollback => "a savepoint rolled back",
        }
    }
}

/// How often each was seen.
#[derive(Debug, Default)]
pub struct Sometimes(Mutex<BTreeMap<Event, u64>>);

impl Sometimes {
    /// It has happened. Whether for the first time.
    pub fn saw(&self, event: Event) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seen.entry(event).or_default();
        *count += 1;
        *count == 1
    }

    /// How often.
    pub fn count(&self, event: Event) -> u64 {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&event).copied().unwrap_or(0)
    }

    /// What has not happened.
    pub fn missing(&self) -> Vec<Event> {
        Event::ALL
            .into_iter()
            .filter(|event| self.count(*event) == 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_is_missing() {
        let sometimes = Sometimes::default();
        assert_eq!(sometimes.missing().len(), Event::ALL.len());
        for event in Event::ALL {
            assert!(sometimes.saw(event));
            assert!(!sometimes.saw(event));
        }
        assert!(sometimes.missing().is_empty());
    }
}

//! Numbers of events.

use std::sync::atomic::AtomicU64;

/// How many kinds of events there are.
pub const KINDS: usize = 13;

/// How often each of them happened. All zero: never.
#[derive(Debug)]
pub struct Counts([AtomicU64; KINDS]);

impl Counts {
    /// Nothing has happened.
    pub const fn none() -> Self {
        Counts([const { AtomicU64::new(0) }; KINDS])
    }

    /// How often the event with this index happened.
    pub fn of(&self, index: usize) -> Option<&AtomicU64> {
        self.0.get(index)
    }
}

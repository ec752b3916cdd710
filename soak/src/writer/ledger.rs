//! Which transactions are known to have committed. Every transaction of a writer inserts one row with its own
//! number; a row that should be there and is not is a lost change.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What the client knows about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server said so.
    Committed,
    /// The server said so, or never got to the end.
    RolledBack,
    /// The connection was lost in between.
    Unknown,
}

/// By writer and number.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<BTreeMap<(u64, u64), Fate>>);

impl Ledger {
    /// A transaction is over, as far as is known.
    pub fn note(&self, writer: u64, number: u64, fate: Fate) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((writer, number), fate);
    }

    /// What is known now, taken out: what has been checked need not be kept.
    pub fn take(&self) -> BTreeMap<(u64, u64), Fate> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all)
    }

    /// Puts back what could not be checked.
    pub fn put_back(&self, fates: BTreeMap<(u64, u64), Fate>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(fates);
    }
}

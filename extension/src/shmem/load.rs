//! The load of a database's refresh workers, as its scheduler has measured it. All zero: none.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// How many stream tables are named that take the most of the workers' time.
pub const EATERS: usize = 8;

/// A stream table, and the share of one worker's time that it has taken.
#[derive(Debug)]
struct Eater {
    pgt_id: AtomicI64,
    share: AtomicU64,
}

/// An entry. Numbers with a fraction are stored as their bits.
#[derive(Debug)]
pub struct Load {
    at_us: AtomicI64,
    busy: AtomicU64,
    running: AtomicU64,
    workers: AtomicU64,
    waiting_s: AtomicU64,
    eaters: [Eater; EATERS],
}

/// What an entry says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// When it was measured, in microseconds of the server's clock.
    pub at_us: i64,
    /// Workers that were busy, on average over the last while.
    pub busy: f64,
    /// Those that were busy then.
    pub running: u64,
    /// Those that there may be.
    pub workers: u64,
    /// What the refreshes that were due and had no worker were expected to take, in seconds.
    pub waiting_s: f64,
    /// Stream tables, and the share of one worker's time that each has taken over the last while.
    pub eaters: Vec<(i64, f64)>,
}

impl Load {
    /// Stores what was measured; of the stream tables the first ones.
    pub fn publish(&self, measured: &Measured) {
        let put = |to: &AtomicU64, value: f64| to.store(value.to_bits(), Ordering::Relaxed);
        put(&self.busy, measured.busy);
        put(&self.waiting_s, measured.waiting_s);
        self.running.store(measured.running, Ordering::Relaxed);
        self.workers.store(measured.workers, Ordering::Relaxed);
        let eaters = measured.eaters.iter().copied();
        let none = std::iter::repeat((0, 0.0));
        for (place, (pgt_id, share)) in self.eaters.iter().zip(eaters.chain(none)) {
            place.pgt_id.store(pgt_id, Ordering::Relaxed);
            put(&place.share, share);
        }
        self.at_us.store(measured.at_us, Ordering::Release);
    }

    /// What was measured last.
    pub fn read(&self) -> Measured {
        let get = |from: &AtomicU64| f64::from_bits(from.load(Ordering::Relaxed));
        let at_us = self.at_us.load(Ordering::Acquire);
        let eaters = self.eaters.iter();
        Measured {
            at_us,
            busy: get(&self.busy),
            running: self.running.load(Ordering::Relaxed),
            workers: self.workers.load(Ordering::Relaxed),
            waiting_s: get(&self.waiting_s),
            eaters: eaters
                .map(|eater| (eater.pgt_id.load(Ordering::Relaxed), get(&eater.share)))
                .filter(|(pgt_id, _)| *pgt_id != 0)
                .collect(),
        }
    }

    /// Forgets it: the scheduler has gone.
    pub fn clear(&self) {
        self.publish(&Measured::default());
    }
}

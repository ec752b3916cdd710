//! Events, counted since the start of the server; without shared memory, of the session.

use std::sync::atomic::{AtomicU64, Ordering};

use super::block;
use super::counts::{Counts, KINDS};

static OF_SESSION: Counts = Counts::none();

/// A kind of event.
#[derive(Debug, Clone, Copy)]
pub struct Counter {
    index: usize,
    /// Its name as a metric.
    pub name: &'static str,
}

/// A scheduler read the invalidation ring too late, and reread the whole catalog.
pub static INVALIDATION_RING_OVERFLOWS: Counter = counter(0, "invalidation_ring_overflows_total");
/// A stream table that would have read itself was refused.
pub static CYCLES_DETECTED: Counter = counter(1, "dag_cycles_detected_total");
/// A cached plan was dropped because something that it reads changed.
pub static TEMPLATE_CACHE_STALE_EVICTIONS: Counter =
    counter(2, "template_cache_stale_evictions_total");
/// A refresh found nothing to do.
pub static REFRESHES_WITHOUT_DATA: Counter = counter(3, "refreshes_without_data_total");
/// A commit woke a scheduler.
pub static WAKEUPS: Counter = counter(4, "wakeups_total");
/// A job went to a worker.
pub static DISPATCHES: Counter = counter(5, "dispatches_total");
/// The server had no room for a scheduler or a worker.
pub static WORKER_START_FAILURES: Counter = counter(6, "worker_start_failures_total");
/// A job was retried after a serialization failure or a deadlock.
pub static RETRIES: Counter = counter(7, "refresh_retries_total");
/// A fuse stopped a stream table.
pub static FUSES_BLOWN: Counter = counter(8, "fuses_blown_total");
/// A drain exceeded its timeout.
pub static DRAIN_TIMEOUTS: Counter = counter(9, "drain_timeouts_total");
/// A refresh was cancelled and restarted because a session waited for one of its locks.
pub static REFRESHES_GIVEN_WAY: Counter = counter(10, "refreshes_given_way_total");
/// A worker read the changes in a source's buffer for the stream tables of a job.
pub static DELTAS_READ: Counter = counter(11, "source_deltas_read_total");
/// A refresh reused a source's changes that had been read for another one of its job.
pub static DELTAS_SHARED: Counter = counter(12, "source_deltas_shared_total");

/// All of them, for the report.
pub static ALL: [&Counter; KINDS] = [
    &INVALIDATION_RING_OVERFLOWS,
    &CYCLES_DETECTED,
    &TEMPLATE_CACHE_STALE_EVICTIONS,
    &REFRESHES_WITHOUT_DATA,
    &WAKEUPS,
    &DISPATCHES,
    &WORKER_START_FAILURES,
    &RETRIES,
    &FUSES_BLOWN,
    &DRAIN_TIMEOUTS,
    &REFRESHES_GIVEN_WAY,
    &DELTAS_READ,
    &DELTAS_SHARED,
];

const fn counter(index: usize, name: &'static str) -> Counter {
    Counter { index, name }
}

impl Counter {
    fn value(&self) -> Option<&'static AtomicU64> {
        let counters = block().map_or(&OF_SESSION, |block| &block.counters);
        counters.of(self.index)
    }

    /// Counts one event.
    pub fn count(&self) {
        if let Some(value) = self.value() {
            value.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were.
    pub fn get(&self) -> u64 {
        self.value()
            .map_or(0, |value| value.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_counts_by_itself() {
        for (index, counter) in ALL.iter().enumerate() {
            assert_eq!(counter.index, index, "{}", counter.name);
        }
        WAKEUPS.count();
        assert_eq!((WAKEUPS.get(), DISPATCHES.get()), (1, 0));
    }
}

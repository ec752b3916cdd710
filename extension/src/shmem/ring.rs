//! The invalidation ring: which stream tables' definitions have changed, for the schedulers' caches.
//!
//! Writers never wait. An entry's number gives its turn of the ring; by it a reader that
//! has been overtaken notices, and rereads the whole catalog.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use crate::config::INVALIDATION_RING_MAX_CAPACITY;

/// The stream table that stands for all of a database.
pub const ALL_TABLES: i64 = 0;

#[derive(Debug)]
struct Entry {
    /// The entry's number plus one; 0 while it is written.
    number: AtomicU64,
    database: AtomicU32,
    pgt_id: AtomicI64,
}

/// The ring. All zero: empty.
#[derive(Debug)]
pub struct Ring {
    head: AtomicU64,
    entries: [Entry; INVALIDATION_RING_MAX_CAPACITY],
}

/// What a reader missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// These stream tables of the database.
    Tables(Vec<i64>),
    /// It may be any: so it was told.
    All,
    /// It may be any: the reader was overtaken.
    Overtaken,
}

impl Default for Ring {
    fn default() -> Self {
        Ring {
            head: AtomicU64::new(0),
            entries: [const {
                Entry {
                    number: AtomicU64::new(0),
                    database: AtomicU32::new(0),
                    pgt_id: AtomicI64::new(0),
                }
            }; INVALIDATION_RING_MAX_CAPACITY],
        }
    }
}

impl Ring {
    /// Where a reader begins who has just read the whole catalog, or is about to.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::SeqCst)
    }

    fn entry(&self, number: u64, capacity: usize) -> Option<&Entry> {
        let capacity = capacity.clamp(1, INVALIDATION_RING_MAX_CAPACITY) as u64;
        self.entries.get((number % capacity) as usize)
    }

    /// Tells of a change to a stream table, visible by now.
    pub fn push_invalidation(&self, database: u32, pgt_id: i64, capacity: usize) {
        let number = self.head.fetch_add(1, Ordering::SeqCst);
        if let Some(entry) = self.entry(number, capacity) {
            entry.number.store(0, Ordering::SeqCst);
            entry.database.store(database, Ordering::SeqCst);
            entry.pgt_id.store(pgt_id, Ordering::SeqCst);
            entry.number.store(number + 1, Ordering::SeqCst);
        }
    }

    /// What came since `position`, which moves on. An entry that is being written is left for the
    /// next look, for which its writer will wake the reader.
    pub fn read(&self, position: &mut u64, database: u32, capacity: usize) -> News {
        let head = self.head();
        let mut tables = Vec::new();
        while *position < head {
            let Some(entry) = self.entry(*position, capacity) else {
                return self.overtaken(position);
            };
            let before = entry.number.load(Ordering::SeqCst);
            let of = entry.database.load(Ordering::SeqCst);
            let pgt_id = entry.pgt_id.load(Ordering::SeqCst);
            let after = entry.number.load(Ordering::SeqCst);
            let expected = *position + 1;
            if before > expected || after != before {
                return self.overtaken(position);
            }
            if before < expected {
                break;
            }
            if of == database && pgt_id == ALL_TABLES {
                *position = head;
                return News::All;
            }
            if of == database {
                tables.push(pgt_id);
            }
            *position += 1;
        }
        tables.sort_unstable();
        tables.dedup();
        News::Tables(tables)
    }

    fn overtaken(&self, position: &mut u64) -> News {
        *position = self.head();
        News::Overtaken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: usize = 4;

    #[test]
    fn a_reader_sees_what_came_for_its_database() {
        let ring = Ring::default();
        let mut position = ring.head();
        ring.push_invalidation(1, 10, CAPACITY);
        ring.push_invalidation(2, 20, CAPACITY);
        ring.push_invalidation(1, 10, CAPACITY);
        assert_eq!(
            ring.read(&mut position, 1, CAPACITY),
            News::Tables(vec![10])
        );
        assert_eq!(ring.read(&mut position, 1, CAPACITY), News::Tables(vec![]));
    }

    #[test]
    fn a_change_of_all_tables_is_no_overflow() {
        let ring = Ring::default();
        let mut position = ring.head();
        ring.push_invalidation(1, ALL_TABLES, CAPACITY);
        assert_eq!(ring.read(&mut position, 1, CAPACITY), News::All);
        assert_eq!(ring.read(&mut position, 1, CAPACITY), News::Tables(vec![]));
    }

    #[test]
    fn a_reader_that_is_overtaken_reads_everything_anew() {
        let ring = Ring::default();
        let mut position = ring.head();
        for pgt_id in 1..=CAPACITY as i64 {
            ring.push_invalidation(1, pgt_id, CAPACITY);
        }
        let mut in_time = position;
        assert_eq!(
            ring.read(&mut in_time, 1, CAPACITY),
            News::Tables(vec![1, 2, 3, 4])
        );
        ring.push_invalidation(1, 5, CAPACITY);
        assert_eq!(ring.read(&mut position, 1, CAPACITY), News::Overtaken);
        assert_eq!(position, ring.head());
    }
}

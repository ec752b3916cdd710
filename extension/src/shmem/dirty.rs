//! Which change buffers of a database got rows that no refresh has been sent for.
//!
//! A set of OIDs in open addressing. A committer adds its buffers after its changes are visible, and wakes the
//! scheduler for those that were not in the set. The scheduler removes a buffer just before it sends a refresh of its
//! readers: the refresh sees all changes behind the mark, and a later change
//! finds no mark. So writers wake the scheduler once per refresh, not once per commit.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

/// Places. A set that is full says "all".
const PLACES: usize = 512;
/// How many places are tried before giving up.
const TRIES: usize = 16;
/// Up to this many marks may stay; beyond, each commit wakes the scheduler, so that there is room for others.
const STAYING_MAX: usize = PLACES / 4;

/// Dirty buffers. All zero: none.
#[derive(Debug)]
pub struct DirtySet {
    all: AtomicBool,
    any: AtomicBool,
    places: [AtomicU32; PLACES],
}

/// What was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// These buffers, some of them perhaps twice.
    Some(Vec<u32>),
    /// More than there is room for.
    All,
}

impl Default for DirtySet {
    fn default() -> Self {
        DirtySet {
            all: AtomicBool::new(false),
            any: AtomicBool::new(false),
            places: [const { AtomicU32::new(0) }; PLACES],
        }
    }
}

impl DirtySet {
    /// Adds a buffer; returns whether to wake the scheduler.
    pub fn insert(&self, buffer: u32) -> bool {
        // What the mark stands for is visible before we look for it.
        fence(Ordering::SeqCst);
        for place in self.places_of(buffer) {
            match place.compare_exchange(0, buffer, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => {
                    self.any.store(true, Ordering::SeqCst);
                    return true;
                }
                Err(there) if there == buffer => return false,
                Err(_) => {}
            }
        }
        self.insert_all();
        true
    }

    /// Every buffer is to be looked at.
    pub fn insert_all(&self) {
        self.all.store(true, Ordering::SeqCst);
        self.any.store(true, Ordering::SeqCst);
    }

    /// What is in, if anything has come in since the last look. It stays in, unless it is too much.
    pub fn look(&self) -> Taken {
        if !self.any.swap(false, Ordering::SeqCst) {
            return Taken::Some(Vec::new());
        }
        let present = self.places.iter().map(|place| place.load(Ordering::SeqCst));
        let present: Vec<u32> = present.filter(|buffer| *buffer != 0).collect();
        match self.all.load(Ordering::SeqCst) || present.len() > STAYING_MAX {
            true => self.take(),
            false => Taken::Some(present),
        }
    }

    /// Takes out what is in.
    pub fn take(&self) -> Taken {
        self.any.store(false, Ordering::SeqCst);
        let all = self.all.swap(false, Ordering::SeqCst);
        let taken = self
            .places
            .iter()
            .map(|place| place.swap(0, Ordering::SeqCst))
            .filter(|buffer| *buffer != 0)
            .collect();
        if all { Taken::All } else { Taken::Some(taken) }
    }

    /// Takes these out: what they stand for is visible to refreshes that begin from now on. Returns those that were in:
    /// they may have come in since the last look, and what else reads them does not know yet.
    pub fn remove(&self, buffers: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut removed = Vec::new();
        for buffer in buffers {
            for place in self.places_of(buffer) {
                // It may be in twice, if a place before it has become free.
                let taken = place.compare_exchange(buffer, 0, Ordering::SeqCst, Ordering::SeqCst);
                if taken.is_ok() {
                    removed.push(buffer);
                }
            }
        }
        fence(Ordering::SeqCst);
        removed
    }

    /// Where a buffer may be.
    fn places_of(&self, buffer: u32) -> impl Iterator<Item = &AtomicU32> {
        let start = (buffer.wrapping_mul(0x9E37_79B1) >> 16) as usize;
        (0..TRIES).filter_map(move |step| self.places.get((start + step) % PLACES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(taken: Taken) -> Vec<u32> {
        let Taken::Some(mut buffers) = taken else {
            panic!("there is room");
        };
        buffers.sort_unstable();
        buffers
    }

    #[test]
    fn what_is_put_in_comes_out_once() {
        let set = DirtySet::default();
        for buffer in [7, 9, 7] {
            set.insert(buffer);
        }
        assert_eq!(sorted(set.take()), [7, 9]);
        assert_eq!(set.take(), Taken::Some(Vec::new()));
    }

    #[test]
    fn the_scheduler_is_told_once_until_it_sends_a_refresh() {
        let set = DirtySet::default();
        assert!(set.insert(7));
        assert!(!set.insert(7), "it has been told");
        assert_eq!(sorted(set.look()), [7]);
        assert_eq!(set.look(), Taken::Some(Vec::new()), "nothing has come in");
        assert!(!set.insert(7), "it knows");
        assert!(set.insert(9));
        assert_eq!(sorted(set.look()), [7, 9], "what stays in is seen again");
        assert_eq!(set.remove([7, 8].into_iter()), [7], "others may read it");
        assert!(set.insert(7), "this change comes after the refresh");
        assert!(!set.insert(9));
    }

    #[test]
    fn a_buffer_that_is_in_twice_is_taken_out_twice() {
        let set = DirtySet::default();
        let second = (8..).find(|b| {
            let mut places = (set.places_of(7), set.places_of(*b));
            places.0.next().map(std::ptr::from_ref) == places.1.next().map(std::ptr::from_ref)
        });
        let second = second.expect("another with the same first place");
        assert!(set.insert(7) && set.insert(second));
        set.remove([7].into_iter());
        assert!(set.insert(second), "before itself");
        set.remove([second].into_iter());
        assert_eq!(set.take(), Taken::Some(Vec::new()));
    }

    #[test]
    fn many_marks_do_not_stay() {
        let set = DirtySet::default();
        (1..=2 * STAYING_MAX as u32).for_each(|buffer| {
            set.insert(buffer);
        });
        assert_eq!(sorted(set.look()).len(), 2 * STAYING_MAX);
        assert!(set.insert(1));
    }

    #[test]
    fn a_full_set_stands_for_all() {
        let set = DirtySet::default();
        (1..=2 * PLACES as u32).for_each(|buffer| {
            set.insert(buffer);
        });
        assert_eq!(set.look(), Taken::All);
        assert_eq!(set.take(), Taken::Some(Vec::new()));
    }
}

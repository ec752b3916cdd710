//! Which change buffers of a database got rows since its scheduler looked last.
//!
//! A set of OIDs in open addressing. A committer puts its buffers in after its changes are visible;
//! the scheduler takes all out, then looks at the tables. So whatever a taken mark stood for is
//! visible to the refresh that follows, and a mark that comes later stays for the next look.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Places. A set that is full says "all".
const PLACES: usize = 512;
/// How many places are tried before giving up.
const TRIES: usize = 16;

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
    /// Puts a buffer in.
    pub fn insert(&self, buffer: u32) {
        let start = (buffer.wrapping_mul(0x9E37_79B1) >> 16) as usize;
        for step in 0..TRIES {
            let Some(place) = self.places.get((start + step) % PLACES) else {
                break;
            };
            let free_or_same = place
                .compare_exchange(0, buffer, Ordering::SeqCst, Ordering::SeqCst)
                .unwrap_or_else(|there| there);
            if free_or_same == 0 || free_or_same == buffer {
                self.any.store(true, Ordering::SeqCst);
                return;
            }
        }
        self.insert_all();
    }

    /// Every buffer is to be looked at.
    pub fn insert_all(&self) {
        self.all.store(true, Ordering::SeqCst);
        self.any.store(true, Ordering::SeqCst);
    }

    /// Takes out what is in.
    pub fn take(&self) -> Taken {
        if !self.any.swap(false, Ordering::SeqCst) {
            return Taken::Some(Vec::new());
        }
        let all = self.all.swap(false, Ordering::SeqCst);
        let taken = self
            .places
            .iter()
            .map(|place| place.swap(0, Ordering::SeqCst))
            .filter(|buffer| *buffer != 0)
            .collect();
        if all { Taken::All } else { Taken::Some(taken) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_once() {
        let set = DirtySet::default();
        for buffer in [7, 9, 7] {
            set.insert(buffer);
        }
        let Taken::Some(mut taken) = set.take() else {
            panic!("there is room");
        };
        taken.sort_unstable();
        assert_eq!(taken, [7, 9]);
        assert_eq!(set.take(), Taken::Some(Vec::new()));
    }

    #[test]
    fn a_full_set_stands_for_all() {
        let set = DirtySet::default();
        (1..=2 * PLACES as u32).for_each(|buffer| set.insert(buffer));
        assert_eq!(set.take(), Taken::All);
        assert_eq!(set.take(), Taken::Some(Vec::new()));
    }
}

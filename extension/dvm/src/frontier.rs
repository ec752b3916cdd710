//! The frontier of a stream table: which change rows its content already contains.
//!
//! It is an MVCC snapshot, not a log position: statement order is not commit order, so only the
//! set of transactions that a refresh *saw* determines which changes it consumed. The refresh's own
//! transaction is the exception, since its snapshot does not include it; an epoch that rises with each
//! refresh in that transaction distinguishes its changes.

use crate::canary;
use std::fmt;
use std::str::FromStr;

/// What a refresh saw: `xmin:xmax:xip` as `pg_snapshot` prints it, and the refresh's own
/// transaction with the epoch that started after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    /// Every transaction below it had ended.
    xmin: u64,
    /// No transaction from here on was visible.
    xmax: u64,
    /// Those in progress between the two, ascending, without duplicates.
    xip: Vec<u64>,
    /// The refresh's own top-level transaction, 0 if it had none.
    own_xid: u64,
    /// Changes of `own_xid` with a lower epoch are consumed, later ones are not.
    own_epoch: i32,
}

/// The text is not that of a `pg_snapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSnapshot(pub String);

impl fmt::Display for InvalidSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid snapshot \"{}\"", self.0)
    }
}

impl std::error::Error for InvalidSnapshot {}

impl Frontier {
    /// A frontier from its parts; `xip` may be in any order.
    pub fn new(xmin: u64, xmax: u64, mut xip: Vec<u64>, own_xid: u64, own_epoch: i32) -> Self {
        xip.retain(|xid| (xmin..xmax).contains(xid));
        xip.sort_unstable();
        xip.dedup();
        Frontier {
            xmin,
            xmax,
            xip,
            own_xid,
            own_epoch,
        }
    }

    /// Parses the text of a `pg_snapshot` and adds the transaction that took it.
    pub fn parse(snapshot: &str, own_xid: u64, own_epoch: i32) -> Result<Self, InvalidSnapshot> {
        let snapshot: Frontier = snapshot.parse()?;
        Ok(snapshot.with_own(own_xid, own_epoch))
    }

    /// The same snapshot, taken by the transaction `own_xid` (0: none) at the start of `own_epoch`.
    pub fn with_own(mut self, own_xid: u64, own_epoch: i32) -> Self {
        self.own_xid = own_xid;
        self.own_epoch = own_epoch;
        self
    }

    /// The transaction that took the snapshot, 0 if it had no id.
    pub fn own_xid(&self) -> u64 {
        self.own_xid
    }

    /// The epoch that began after the snapshot.
    pub fn own_epoch(&self) -> i32 {
        self.own_epoch
    }

    /// Whether a change that transaction `xid` captured in `epoch` is already contained.
    #[inline]
    pub fn consumes(&self, xid: u64, epoch: i32) -> bool {
        if xid == self.own_xid {
            epoch < self.own_epoch
        } else if canary::active(canary::FRONTIER_OFF_BY_ONE) {
            self.shows(xid) || xid == self.xmax.max(self.own_xid + 1)
        } else {
            self.shows(xid)
        }
    }

    /// The lowest transaction id of which a change may not be consumed: where a reader starts.
    pub fn first_unconsumed(&self) -> u64 {
        if self.own_xid == 0 {
            self.xmin
        } else {
            self.xmin.min(self.own_xid)
        }
    }

    /// Whether `present`, the snapshot of a running transaction, shows all that this frontier
    /// has consumed. If not, a refresh at `present` would go back in time.
    pub fn is_visible_in(&self, present: &Frontier) -> bool {
        let hidden = |xid: u64| !present.sees(xid);
        if self.own_xid != 0 && hidden(self.own_xid) {
            return false;
        }
        if present
            .xip
            .iter()
            .any(|&xid| hidden(xid) && self.shows(xid))
        {
            return false;
        }
        // Of the ids from present.xmax up to our xmax, only those in our xip (and the present
        // transaction itself) may be there.
        let beyond = self.xmax.saturating_sub(present.xmax);
        let in_progress = self.xip.iter().filter(|&&xid| xid >= present.xmax).count() as u64;
        let own_is_beyond = (present.xmax..self.xmax).contains(&present.own_xid)
            && self.xip.binary_search(&present.own_xid).is_err();
        beyond == in_progress + u64::from(own_is_beyond)
    }

    /// Whether the snapshot alone shows the transaction.
    #[inline]
    fn shows(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.xip.binary_search(&xid).is_err())
    }

    /// Whether the snapshot, or being its own transaction, shows the transaction.
    pub fn sees(&self, xid: u64) -> bool {
        xid == self.own_xid || self.shows(xid)
    }
}

/// The text form of `pg_snapshot`, without the own transaction.
impl fmt::Display for Frontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (i, xid) in self.xip.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{xid}")?;
        }
        Ok(())
    }
}

/// Parses the text form of `pg_snapshot`; no own transaction.
impl FromStr for Frontier {
    type Err = InvalidSnapshot;

    fn from_str(text: &str) -> Result<Self, InvalidSnapshot> {
        let invalid = || InvalidSnapshot(text.to_string());
        let number = |s: &str| s.parse::<u64>().map_err(|_| invalid());
        let mut parts = text.splitn(3, ':');
        let xmin = number(parts.next().unwrap_or_default())?;
        let xmax = number(parts.next().ok_or_else(invalid)?)?;
        let in_progress = parts.next().ok_or_else(invalid)?;
        let xip = match in_progress {
            "" => Vec::new(),
            list => list.split(',').map(number).collect::<Result<_, _>>()?,
        };
        if xmin > xmax {
            return Err(invalid());
        }
        Ok(Frontier::new(xmin, xmax, xip, 0, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frontier(text: &str, own_xid: u64, own_epoch: i32) -> Frontier {
        Frontier::parse(text, own_xid, own_epoch).expect("valid snapshot")
    }

    #[test]
    fn text_round_trips() {
        for text in ["5:5:", "5:9:5,7", "1:18446744073709551615:3"] {
            assert_eq!(frontier(text, 0, 0).to_string(), text);
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in ["", "5", "5:6", "a:6:", "6:5:", "5:6:x", "5:6:5,", "-1:6:"] {
            assert!(Frontier::parse(text, 0, 0).is_err(), "{text}");
        }
    }

    #[test]
    fn the_own_transaction_is_judged_by_epoch_alone() {
        let f = frontier("5:9:5,7", 4, 2);
        assert!(f.consumes(4, 1));
        assert!(
            !f.consumes(4, 2),
            "written after the refresh, though xid < xmin"
        );
        let f = frontier("5:9:5,7", 12, 2);
        assert!(
            f.consumes(12, 1),
            "consumed by the refresh, though xid >= xmax"
        );
        assert!(!f.consumes(12, 2));
    }

    #[test]
    fn others_are_judged_by_the_snapshot() {
        let f = frontier("5:9:5,7", 0, 0);
        let consumed: Vec<u64> = (1..12).filter(|&xid| f.consumes(xid, 0)).collect();
        assert_eq!(consumed, [1, 2, 3, 4, 6, 8]);
    }

    #[test]
    fn a_frontier_is_not_visible_in_an_older_snapshot() {
        let old = frontier("5:9:5,7", 0, 0);
        let new = frontier("7:12:7", 0, 0);
        assert!(old.is_visible_in(&new));
        assert!(!new.is_visible_in(&old));
        assert!(old.is_visible_in(&old));
        // The refresh committed as 10, which the current snapshot does not show.
        assert!(!frontier("5:9:5,7", 10, 1).is_visible_in(&old));
        // A second refresh in the same transaction.
        assert!(frontier("5:9:5,7", 10, 1).is_visible_in(&frontier("5:9:5,7", 10, 0)));
    }

    prop_compose! {
        fn any_frontier()(xmin in 3u64..20, len in 0u64..12, mask in any::<u16>(),
                          own in 0u64..40, epoch in 0i32..4) -> Frontier {
            let xip = (0..len).filter(|i| mask >> i & 1 == 1).map(|i| xmin + i).collect();
            Frontier::new(xmin, xmin + len, xip, own, epoch)
        }
    }

    proptest! {
        #[test]
        fn text_of_any_frontier_round_trips(f in any_frontier()) {
            let parsed = Frontier::parse(&f.to_string(), f.own_xid(), f.own_epoch());
            prop_assert_eq!(parsed, Ok(f));
        }

        #[test]
        fn nothing_below_first_unconsumed_is_left(f in any_frontier(), xid in 1u64..60) {
            if xid < f.first_unconsumed() {
                prop_assert!(f.consumes(xid, i32::MAX));
            }
        }

        #[test]
        fn visibility_is_inclusion_of_what_is_seen(f in any_frontier(), s in any_frontier()) {
            let included = (1u64..60).all(|xid| !f.sees(xid) || s.sees(xid));
            prop_assert_eq!(f.is_visible_in(&s), included);
        }
    }
}

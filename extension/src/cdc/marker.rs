//! Change rows that tell the readers of a source to recompute.
//!
//! Their weight gives the reason; no inserted or deleted row has such a weight.

use pgtrickle_dvm::weight::Weight;

/// Why a source's changes are not recorded as rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// It was truncated.
    Truncated,
    /// It has other rows, or other columns, or other tables below it, by a command.
    Rewritten,
    /// Something wrote to it, and no trigger saw it.
    Unseen,
}

impl Marker {
    /// The weight of its change row.
    pub fn weight(self) -> i32 {
        match self {
            Marker::Truncated => 0,
            Marker::Rewritten => i32::MIN,
            Marker::Unseen => i32::MIN + 1,
        }
    }

    /// What a change row of this weight says; `None` of a row that comes or goes.
    #[inline]
    pub fn of(weight: i32) -> Option<Self> {
        match weight {
            0 => Some(Marker::Truncated),
            i32::MIN => Some(Marker::Rewritten),
            _ => (weight < Weight::LEAST_PART).then_some(Marker::Unseen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_known_by_its_weight() {
        for marker in [Marker::Truncated, Marker::Rewritten, Marker::Unseen] {
            assert_eq!(Marker::of(marker.weight()), Some(marker));
        }
        for weight in [1, -1, i32::MAX, Weight::LEAST_PART] {
            assert_eq!(Marker::of(weight), None, "{weight}");
        }
    }
}

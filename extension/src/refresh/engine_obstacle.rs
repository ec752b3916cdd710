//! The engine's refusals, as reports show them.

use crate::error::Obstacle;

/// Why the engine cannot maintain a tree.
pub fn engine_obstacle(error: &pgtrickle_dvm::Error) -> Obstacle {
    let (code, remedy) = match error {
        pgtrickle_dvm::Error::AmbiguousOrder { .. } => (
            "UNSETTLED_ORDER",
            "Add columns to ORDER BY until no two rows are equal in it, such as a primary key, or use a frame of ROWS.",
        ),
        pgtrickle_dvm::Error::TooWide { .. } => (
            "TOO_WIDE",
            "Make stream tables of some of its columns each, and a view that joins them.",
        ),
        pgtrickle_dvm::Error::CannotUnnest { .. } => (
            "CANNOT_UNNEST",
            "Make the subquery a stream table of its own, or write it as a join.",
        ),
    };
    Obstacle {
        code: code.to_owned(),
        reason: error.to_string(),
        remedy: remedy.to_owned(),
    }
}

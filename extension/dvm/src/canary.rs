//! Seeded bugs, each of which the harness must catch.
//!
//! They exist only in a build with the feature `canary`; otherwise [`active`] is a constant `false`
//! and nothing is left of them. At most one is active in a thread.

/// The correction terms of a join have the sign of the first-order terms.
pub const WRONG_SIGN: &str = "wrong_sign";
/// A join has no correction terms: rows of two changed relations that meet count twice.
pub const MISSING_CORRECTION_TERM: &str = "missing_correction_term";
/// Changes of groups with a NULL key are dropped.
pub const DROPPED_NULL_GROUP: &str = "dropped_null_group";
/// A removed extremum never makes its group be computed again.
pub const STALE_EXTREMUM: &str = "stale_extremum";
/// A group keeps its row when its last row is gone.
pub const GROUP_NEVER_DIES: &str = "group_never_dies";
/// An average divides by the number of rows, NULL inputs included.
pub const AVG_IGNORES_NULLS: &str = "avg_ignores_nulls";
/// Sums and averages keep the display scale of inputs that are gone.
pub const SCALE_FORGOTTEN: &str = "scale_forgotten";
/// Several equal rows in a delta count as one.
pub const LOST_DUPLICATE: &str = "lost_duplicate";
/// Only the first occurrence of a changed table in a join counts as changed.
pub const SELF_JOIN_ONCE: &str = "self_join_once";
/// The first transaction after a refresh counts as consumed by it.
pub const FRONTIER_OFF_BY_ONE: &str = "frontier_off_by_one";

/// The row of NULLs of an outer join is not taken back when a match comes, nor added when the last goes.
pub const PADDING_STAYS: &str = "padding_stays";

/// A moving bound takes nobody in and puts nobody out.
pub const BOUND_STANDS_STILL: &str = "bound_stands_still";

/// Changed rows count as coming after the first rows of a whole input.
pub const FIRST_ROWS_STAY: &str = "first_rows_stay";
/// A partition that rows only leave is not computed again.
pub const LEFT_PARTITION_STAYS: &str = "left_partition_stays";
/// Rows equal in the order to the last of the first rows are cut off, ties or not.
pub const TIES_CUT_OFF: &str = "ties_cut_off";

/// A subquery that groups nothing has no row where there is nothing to group.
pub const EMPTY_GROUP_FORGOTTEN: &str = "empty_group_forgotten";

/// `x IN (…, NULL)` is false rather than NULL where x is not among the rest.
pub const UNKNOWN_IS_FALSE: &str = "unknown_is_false";

/// What a recursion loses by a deletion does not come back, though it can be derived otherwise.
pub const REDERIVATION_FORGOTTEN: &str = "rederivation_forgotten";

/// Who follows row by row does not wait for the row's last writer.
pub const ROW_LOCK_FORGOTTEN: &str = "row_lock_forgotten";

/// The seeded bugs that it takes two sessions to catch.
pub const IN_CONCURRENCY: [&str; 1] = [ROW_LOCK_FORGOTTEN];

/// The seeded bugs that the harness must catch through SQL.
pub const NAMES: [&str; 18] = [
    WRONG_SIGN,
    MISSING_CORRECTION_TERM,
    DROPPED_NULL_GROUP,
    STALE_EXTREMUM,
    GROUP_NEVER_DIES,
    AVG_IGNORES_NULLS,
    SCALE_FORGOTTEN,
    LOST_DUPLICATE,
    SELF_JOIN_ONCE,
    FRONTIER_OFF_BY_ONE,
    PADDING_STAYS,
    BOUND_STANDS_STILL,
    EMPTY_GROUP_FORGOTTEN,
    UNKNOWN_IS_FALSE,
    FIRST_ROWS_STAY,
    LEFT_PARTITION_STAYS,
    TIES_CUT_OFF,
    REDERIVATION_FORGOTTEN,
];

#[cfg(feature = "canary")]
mod seeded {
    use std::cell::{Cell, RefCell};

    thread_local! {
        static ACTIVE: RefCell<Option<String>> = const { RefCell::new(None) };
        static GENERATION: Cell<u64> = const { Cell::new(0) };
    }

    /// Whether the bug is active in this thread.
    pub fn active(name: &str) -> bool {
        debug_assert!(
            super::NAMES.contains(&name) || super::IN_CONCURRENCY.contains(&name),
            "no such bug: {name}"
        );
        ACTIVE.with_borrow(|active| active.as_deref() == Some(name))
    }

    /// Activates a bug in this thread, or none.
    pub fn set(name: Option<String>) {
        let name = name.filter(|name| !name.is_empty());
        ACTIVE.with_borrow_mut(|active| {
            if *active != name {
                *active = name;
                GENERATION.set(GENERATION.get() + 1);
            }
        });
    }

    /// Rises whenever another bug is active: statements made before are not those of now.
    pub fn generation() -> u64 {
        GENERATION.get()
    }
}

#[cfg(feature = "canary")]
pub use seeded::{active, generation, set};

/// Whether the bug is active in this thread: never, in this build.
#[cfg(not(feature = "canary"))]
#[inline(always)]
pub const fn active(_name: &str) -> bool {
    false
}

/// Rises whenever another bug is active: never, in this build.
#[cfg(not(feature = "canary"))]
#[inline(always)]
pub const fn generation() -> u64 {
    0
}

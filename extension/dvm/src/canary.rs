//! Seeded bugs, each of which the harness must catch.
//!
//! They exist only in a build with the feature `canary`; otherwise [`active`] is a constant `false`.
//! At most one is active per thread.

use std::fmt;

/// A seeded bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bug(&'static str);

macro_rules! bugs {
    ($(#[$doc:meta])* $all:ident: $($(#[$what:meta])* $bug:ident = $name:literal,)*) => {
        $($(#[$what])* pub const $bug: Bug = Bug($name);)*
        $(#[$doc])*
        pub const $all: &[Bug] = &[$($bug),*];
    };
}

bugs! {
    /// Those that the harness must catch with one session.
    ALL:
    /// The correction terms of a join have the sign of the first-order terms.
    WRONG_SIGN = "wrong_sign",
    /// A join has no correction terms: rows of two changed relations that meet count twice.
    MISSING_CORRECTION_TERM = "missing_correction_term",
    /// Changes of groups with a NULL key are dropped.
    DROPPED_NULL_GROUP = "dropped_null_group",
    /// A removed extremum never makes the group recompute.
    STALE_EXTREMUM = "stale_extremum",
    /// A group keeps its row when its last row is gone.
    GROUP_NEVER_DIES = "group_never_dies",
    /// An average divides by the number of rows, NULL inputs included.
    AVG_IGNORES_NULLS = "avg_ignores_nulls",
    /// Sums and averages keep the display scale of inputs that are gone.
    SCALE_FORGOTTEN = "scale_forgotten",
    /// Several equal rows in a delta count as one.
    LOST_DUPLICATE = "lost_duplicate",
    /// Only the first occurrence of a changed table in a join counts as changed.
    SELF_JOIN_ONCE = "self_join_once",
    /// The first transaction after a refresh counts as consumed by it.
    FRONTIER_OFF_BY_ONE = "frontier_off_by_one",
    /// The row of NULLs of an outer join is not taken back when a match comes, nor added when the last goes.
    PADDING_STAYS = "padding_stays",
    /// A moving bound lets no row in and no row out.
    BOUND_STANDS_STILL = "bound_stands_still",
    /// Rows that a moving bound passed keep what the condition on it was.
    CONDITION_STAYS = "condition_stays",
    /// A subquery that groups nothing has no row where there is nothing to group.
    EMPTY_GROUP_FORGOTTEN = "empty_group_forgotten",
    /// `x IN (…, NULL)` is false rather than NULL where x is not among the rest.
    UNKNOWN_IS_FALSE = "unknown_is_false",
    /// Changed rows count as coming after the first rows of a whole input.
    FIRST_ROWS_STAY = "first_rows_stay",
    /// A partition that rows only leave is not computed again.
    LEFT_PARTITION_STAYS = "left_partition_stays",
    /// Rows equal in the order to the last of the first rows are cut off, ties or not.
    TIES_CUT_OFF = "ties_cut_off",
    /// A changed row changes no results of the rows next to it in a window over a whole input.
    REACH_CUT_SHORT = "reach_cut_short",
    /// Running totals begin at nothing where a change begins.
    CARRY_FORGOTTEN = "carry_forgotten",
    /// What a recursion loses by a deletion does not come back, though it can be derived otherwise.
    REDERIVATION_FORGOTTEN = "rederivation_forgotten",
    /// Text that says now is read as the time at which it is read.
    CLOCK_WORD_READ = "clock_word_read",
    /// What policies hide is not left out of what was captured.
    POLICY_FORGOTTEN = "policy_forgotten",
    /// A LIMIT by the value of a subquery leaves its last row out.
    LAST_BY_VALUE_CUT_OFF = "last_by_value_cut_off",
}

bugs! {
    /// Those that take two sessions to catch.
    IN_CONCURRENCY:
    /// Who follows row by row does not wait for the row's last writer.
    ROW_LOCK_FORGOTTEN = "row_lock_forgotten",
}

bugs! {
    /// Those that take a cluster of Citus to catch.
    IN_CLUSTER:
    /// Changes from a node are not recorded as applied, and applied again.
    CHANGE_TAKEN_TWICE = "change_taken_twice",
    /// A shard that has come to a node counts as up to date.
    CHANGE_LOST_AT_MOVE = "change_lost_at_move",
    /// A node forgets one of the groups of shards that it has.
    SHARD_GROUP_FORGOTTEN = "shard_group_forgotten",
}

impl Bug {
    /// The bug of this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = ALL.iter().chain(IN_CONCURRENCY).chain(IN_CLUSTER);
        all.find(|bug| bug.0 == name).copied()
    }

    /// Its name, as the setting `pg_trickle.canary` takes it.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(feature = "canary")]
mod seeded {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static ACTIVE: Cell<Option<Bug>> = const { Cell::new(None) };
        static GENERATION: Cell<u64> = const { Cell::new(0) };
    }

    /// Whether the bug is active in this thread.
    pub fn active(bug: Bug) -> bool {
        ACTIVE.get() == Some(bug)
    }

    /// Activates a bug in this thread, or none.
    pub fn set(bug: Option<Bug>) {
        if ACTIVE.replace(bug) != bug {
            GENERATION.set(GENERATION.get() + 1);
        }
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
pub const fn active(_bug: Bug) -> bool {
    false
}

/// Rises whenever another bug is active: never, in this build.
#[cfg(not(feature = "canary"))]
#[inline(always)]
pub const fn generation() -> u64 {
    0
}

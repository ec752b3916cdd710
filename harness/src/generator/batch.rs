//! Transactions, and batches of them between two refreshes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::dml::{Dml, Which, dml, which};

/// A transaction.
#[derive(Debug, Clone)]
pub enum Transaction {
    /// Each change by itself.
    Single(Vec<Dml>),
    /// All changes in one.
    Together(Vec<Dml>),
    /// Changes, a savepoint with changes that is rolled back, changes in one that is released.
    Savepoints(Vec<Dml>, Vec<Dml>, Vec<Dml>),
    /// A column of the rows with one value of `k`, in every table.
    SameKeys(u8, u8, u8),
    /// Nothing remains of it.
    RolledBack(Vec<Dml>),
    /// Changes, a refresh, more changes; in REPEATABLE READ or in READ COMMITTED.
    AroundRefresh(bool, Vec<Dml>, Vec<Dml>),
    /// Changes, a savepoint with changes and a refresh that is rolled back, changes.
    RefreshUndone(Vec<Dml>, Vec<Dml>, Vec<Dml>),
    /// Two rows inserted into each of two tables, then deleted again: nothing.
    ThereAndBack(Vec<u8>),
    /// Rows of a table deleted, and the same rows inserted again: nothing.
    AwayAndBack(u8, Which),
    /// The stream table altered: to the query that it has, or to another mode and back.
    Altered(bool),
    /// Text that says a date says one that the clock decides, for a refresh.
    ClockWord(u8, Which),
}

/// What happens between two refreshes.
pub type Batch = Vec<Transaction>;

fn changes() -> impl Strategy<Value = Vec<Dml>> {
    vec(dml(), 0..4)
}

/// A transaction.
fn transaction() -> impl Strategy<Value = Transaction> {
    prop_oneof![
        6 => vec(dml(), 1..4).prop_map(Transaction::Single),
        5 => vec(dml(), 1..5).prop_map(Transaction::Together),
        2 => (changes(), changes(), changes())
            .prop_map(|(a, b, c)| Transaction::Savepoints(a, b, c)),
        2 => (any::<u8>(), any::<u8>(), 0u8..64)
            .prop_map(|(key, column, value)| Transaction::SameKeys(key, column, value)),
        1 => vec(dml(), 1..3).prop_map(Transaction::RolledBack),
        2 => (any::<bool>(), changes(), changes())
            .prop_map(|(strict, a, b)| Transaction::AroundRefresh(strict, a, b)),
        1 => (changes(), changes(), changes())
            .prop_map(|(a, b, c)| Transaction::RefreshUndone(a, b, c)),
        1 => super::schema::row().prop_map(Transaction::ThereAndBack),
        1 => (any::<u8>(), which()).prop_map(|(table, which)| Transaction::AwayAndBack(table, which)),
        1 => any::<bool>().prop_map(Transaction::Altered),
        1 => (any::<u8>(), which()).prop_map(|(table, which)| Transaction::ClockWord(table, which)),
    ]
}

/// A batch.
pub fn batch() -> impl Strategy<Value = Batch> {
    vec(transaction(), 1..4)
}

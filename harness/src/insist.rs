//! For tests: statements that have to succeed, and conditions that have to come true; if not, the test panics.

use std::time::Duration;

use crate::client::Session;
use crate::runtime::{follows, wait_for};

/// Executes.
///
/// # Panics
/// If the statement fails.
pub async fn run(session: &Session, sql: &str) {
    session
        .execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
}

/// The single value of a query.
///
/// # Panics
/// If the query fails.
pub async fn value(session: &Session, sql: &str) -> String {
    session
        .scalar(sql)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Waits until the condition holds, and tells for how long.
///
/// # Panics
/// If it does not come to hold.
pub async fn until(session: &Session, condition: &str) -> Duration {
    wait_for(session, condition)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Waits until the stream tables are exact.
///
/// # Panics
/// If one does not come to be.
pub async fn exact(session: &Session, names: &[&str]) {
    for name in names {
        follows(session, name)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

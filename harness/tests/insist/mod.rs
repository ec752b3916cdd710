//! Statements that have to succeed, and conditions that have to come true.

// Each test file uses some of them.
#![allow(dead_code)]

use std::time::Duration;

use harness::client::Session;
use harness::runtime::{follows, wait_for};

pub async fn run(session: &Session, sql: &str) {
    session
        .execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
}

pub async fn value(session: &Session, sql: &str) -> String {
    session
        .scalar(sql)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

pub async fn until(session: &Session, condition: &str) -> Duration {
    wait_for(session, condition)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

pub async fn exact(session: &Session, names: &[&str]) {
    for name in names {
        follows(session, name)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

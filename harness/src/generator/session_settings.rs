//! Settings of the session that writes or refreshes, other than those of the one that creates and judges.

use crate::client::{Session, SqlError, Table};
use crate::postgres;
use crate::random::Random;

/// Settings that stream tables keep, with values to choose from.
const VALUES: &[(&str, &[&str])] = &[
    (
        "TimeZone",
        &["UTC", "Asia/Kolkata", "America/New_York", "Europe/Vienna"],
    ),
    (
        "DateStyle",
        &["ISO, MDY", "SQL, DMY", "German", "Postgres, MDY"],
    ),
    (
        "IntervalStyle",
        &["postgres", "sql_standard", "iso_8601", "postgres_verbose"],
    ),
    ("timezone_abbreviations", &["Default", "Australia"]),
    ("extra_float_digits", &["1", "0", "-6", "3"]),
    ("bytea_output", &["hex", "escape"]),
    ("xmlbinary", &["base64", "hex"]),
    ("xmloption", &["content", "document"]),
    ("array_nulls", &["on", "off"]),
    ("quote_all_identifiers", &["off", "on"]),
    ("lc_monetary", &["C", "POSIX"]),
    ("lc_numeric", &["C", "POSIX"]),
    ("lc_time", &["C", "POSIX"]),
    (
        "default_text_search_config",
        &["pg_catalog.english", "pg_catalog.simple"],
    ),
    ("standard_conforming_strings", &["on", "off"]),
    ("backslash_quote", &["safe_encoding", "on"]),
    ("transform_null_equals", &["off", "on"]),
    ("gin_fuzzy_search_limit", &["0", "1"]),
];

/// Statements that give about a third of the settings other values; the same for the same number.
pub(super) fn others(number: u64) -> String {
    let mut random = Random::new(number);
    let mut statements = Vec::new();
    for (name, values) in VALUES {
        if random.below(3) == 0 {
            let value = values[random.below(values.len() as u64) as usize];
            if is_taken(name, value) {
                statements.push(format!("SET {name} = '{value}'"));
            }
        }
    }
    statements.join("; ")
}

/// Whether the server takes the value: PostgreSQL 19 no longer lets strings be other than standard.
fn is_taken(name: &str, value: &str) -> bool {
    name != "standard_conforming_strings" || value == "on" || postgres::major() < 19
}

/// Statements that give all of them the values back that the session began with.
fn own() -> String {
    let resets = VALUES.iter().map(|(name, _)| format!("RESET {name}"));
    resets.collect::<Vec<_>>().join("; ")
}

/// Executes under other settings. A transaction that has failed gives its own back when it ends.
pub(super) async fn execute(session: &Session, number: usize, sql: &str) -> Result<(), SqlError> {
    let _ = session.execute(&others(number as u64)).await;
    let outcome = session.execute(sql).await;
    let _ = session.execute(&own()).await;
    outcome
}

/// What a statement returns that runs under other settings.
pub(super) async fn table(session: &Session, number: usize, sql: &str) -> Result<Table, SqlError> {
    let _ = session.execute(&others(number as u64)).await;
    let outcome = session.table(sql).await;
    let _ = session.execute(&own()).await;
    outcome
}

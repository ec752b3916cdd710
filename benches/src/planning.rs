//! Reading and compiling the queries of TPC-H, on a server.

use crate::stats::{median, time_ms};
use anyhow::Result;
use harness::client::{Session, quote_literal};
use harness::tpch;
use std::fmt::Write as _;

const REPEAT: usize = 15;

/// Analysing each query, compiling it and writing its statements, as `explain_capabilities` does; tables
/// are empty, since none of that looks at rows.
pub async fn queries(session: &Session) -> Result<String> {
    session.execute(tpch::TABLES).await?;
    let mut text = String::from("| TPC-H query | read and compiled in ms |\n|---|---:|\n");
    for (name, query) in tpch::queries() {
        let sql = format!(
            "SELECT count(*) FROM pgtrickle.explain_capabilities({})",
            quote_literal(query)
        );
        let mut times = Vec::new();
        for _ in 0..REPEAT {
            times.push(time_ms(session, &sql).await?);
        }
        let _ = writeln!(text, "| {name} | {:.2} |", median(&times));
    }
    Ok(text)
}

//! Two more measurements on a server: reading and compiling the queries of TPC-H, and what a statement
//! pays for a stream table that follows at once.

use crate::gate::Interval;
use crate::stats::{median, paired_ratio, time_ms};
use anyhow::Result;
use harness::client::{Session, quote_literal};
use harness::tpch;
use std::fmt::Write as _;

const REPEAT: usize = 15;
const UPDATES: usize = 200;

/// Analysing each query, compiling it and writing its statements, as `explain_capabilities` does; tables
/// are empty, since none of that looks at rows.
pub async fn planning(session: &Session) -> Result<String> {
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

/// Single-row updates of a table without stream table and of one with an IMMEDIATE aggregate over it, in
/// turns; commits do not wait for the disk.
pub async fn immediate(session: &Session) -> Result<String> {
    for table in ["alone", "followed"] {
        session
            .execute(&format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, g int NOT NULL, v int NOT NULL);
                 INSERT INTO {table} SELECT i, i % 100, i FROM generate_series(1, 100000) i"
            ))
            .await?;
    }
    session
        .execute(
            "SELECT pgtrickle.create_stream_table('following',
                 'SELECT g, count(*) AS n, sum(v) AS total FROM followed GROUP BY g',
                 refresh_mode => 'IMMEDIATE')",
        )
        .await?;
    session.execute("VACUUM ANALYZE").await?;
    session.execute("SET synchronous_commit = off").await?;
    let (mut alone, mut followed) = (Vec::new(), Vec::new());
    for number in 0..UPDATES {
        let mut turns = [("alone", &mut alone), ("followed", &mut followed)];
        if number % 2 == 1 {
            turns.reverse();
        }
        for (table, times) in turns {
            let id = 1 + number * 7_919 % 100_000;
            let sql = format!("UPDATE {table} SET v = v + 1 WHERE id = {id}");
            times.push(time_ms(session, &sql).await?);
        }
    }
    session.execute("RESET synchronous_commit").await?;
    Ok(format!(
        "| UPDATE of one row | ms |\n|---|---:|\n| without stream table | {} |\n\
         | with an IMMEDIATE aggregate | {} ({:.2}×) |\n",
        Interval::of_median(&alone),
        Interval::of_median(&followed),
        paired_ratio(&followed, &alone)
    ))
}

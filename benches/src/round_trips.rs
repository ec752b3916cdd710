//! Three places where the naive way asks the server more often than is needed: the probe at the entry of a
//! refresh, the watermark of a scheduler's tick, and the plans of a refresh's statements.

use crate::stats::{median, paired_ratio, time_ms};
use anyhow::{Context, Result};
use harness::client::Session;
use harness::cluster::Cluster;
use std::fmt::Write as _;

/// Numbers of sources.
const SOURCES: [usize; 5] = [1, 2, 5, 10, 20];
const REPEAT: usize = 101;
const COLD_REPEAT: usize = 15;

/// Times of several ways to do the same, measured in turns: the medians, and the median of the ratios of
/// the last way to the first.
async fn in_turns(session: &Session, ways: &[Vec<String>]) -> Result<(Vec<f64>, f64)> {
    let mut times = vec![Vec::new(); ways.len()];
    for round in 0..REPEAT + 5 {
        for (way, statements) in ways.iter().enumerate() {
            let mut total = 0.0;
            for statement in statements {
                total += time_ms(session, statement).await?;
            }
            if round >= 5 {
                times[way].push(total);
            }
        }
    }
    let ratio = match times.as_slice() {
        [first, .., last] => paired_ratio(last, first),
        _ => f64::NAN,
    };
    Ok((times.iter().map(|t| median(t)).collect(), ratio))
}

/// A refresh that finds nothing, whose probe takes no statement; one statement for all sources; and three
/// round trips per source.
pub async fn probe(session: &Session) -> Result<String> {
    let most = SOURCES.iter().max().copied().unwrap_or(0);
    for number in 0..most {
        session
            .execute(&format!(
                "CREATE TABLE source_{number} (id int PRIMARY KEY, v int)"
            ))
            .await?;
    }
    let mut text = String::from(
        "| sources | whole refresh without changes, ms | one statement, ms | three per source, ms | three per source to refresh |\n\
         |---:|---:|---:|---:|---:|\n",
    );
    for sources in SOURCES {
        let union: Vec<String> = (0..sources)
            .map(|number| format!("SELECT {number} AS s, id, v FROM source_{number}"))
            .collect();
        session
            .execute(&format!(
                "SELECT pgtrickle.create_stream_table('probe_{sources}', '{}')",
                union.join(" UNION ALL ")
            ))
            .await?;
        let buffers: Vec<String> = session
            .rows(&format!(
                "SELECT 'pgtrickle_changes.changes_' || c.oid FROM pg_class c
                 WHERE relname ~ '^source_[0-9]+$' AND substr(relname, 8)::int < {sources}"
            ))
            .await?
            .into_iter()
            .filter_map(|row| row.into_iter().next()?)
            .collect();
        let exists = |buffer: &str| format!("to_regclass('{buffer}') IS NOT NULL");
        let pending =
            |buffer: &str| format!("(SELECT count(*) FROM (SELECT FROM {buffer} LIMIT 1000) x)");
        let rows = |buffer: &str| {
            format!("(SELECT reltuples FROM pg_class WHERE oid = '{buffer}'::regclass)")
        };
        let batched: Vec<String> = buffers
            .iter()
            .map(|b| format!("SELECT {}, {}, {}", exists(b), pending(b), rows(b)))
            .collect();
        let naive: Vec<String> = buffers
            .iter()
            .flat_map(|b| [exists(b), pending(b), rows(b)])
            .map(|expression| format!("SELECT {expression}"))
            .collect();
        let refresh = format!("SELECT * FROM pgtrickle.refresh_stream_table('probe_{sources}')");
        let ways = [vec![refresh], vec![batched.join(" UNION ALL ")], naive];
        let (ms, ratio) = in_turns(session, &ways).await?;
        let _ = writeln!(
            text,
            "| {sources} | {:.3} | {:.3} | {:.3} | {ratio:.1}× |",
            ms[0], ms[1], ms[2]
        );
    }
    Ok(text)
}

/// The scheduler's own statement against the three that it stands for.
pub async fn watermark(session: &Session) -> Result<String> {
    let source = include_str!("../../extension/src/scheduler/watermark.rs");
    let compound = source
        .split_once("const SQL: &str = \"")
        .and_then(|(_, rest)| rest.split_once("\";"))
        .map(|(sql, _)| sql.to_owned())
        .context("the watermark's statement has moved")?;
    let three = [
        "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn",
        "SELECT pid, backend_xid, backend_xmin, xact_start FROM pg_stat_activity
         WHERE backend_xid IS NOT NULL OR backend_xmin IS NOT NULL
         ORDER BY greatest(age(backend_xid), age(backend_xmin)) DESC LIMIT 1",
        "SELECT count(*) FROM pg_prepared_xacts",
    ];
    let ways = [
        vec![compound],
        three.iter().map(|sql| (*sql).to_owned()).collect(),
    ];
    let (ms, ratio) = in_turns(session, &ways).await?;
    Ok(format!(
        "| watermark of a tick | ms |\n|---|---:|\n\
         | one statement (with slots and the holder's name) | {:.3} |\n\
         | three statements | {:.3} ({ratio:.2}×) |\n",
        ms[0], ms[1]
    ))
}

/// A refresh whose statements are planned already, and the first one of a session.
pub async fn templates(cluster: &Cluster, session: &Session) -> Result<String> {
    session
        .execute(
            "CREATE TABLE fact (id int PRIMARY KEY, k int, v int);
             CREATE TABLE dim (k int PRIMARY KEY, name text);
             INSERT INTO fact SELECT i, i % 100, i FROM generate_series(1, 10000) i;
             INSERT INTO dim SELECT i, 'name ' || i FROM generate_series(0, 99) i;
             CREATE INDEX ON fact (k);
             ANALYZE fact, dim;
             SELECT pgtrickle.create_stream_table('planned',
                 'SELECT name, count(*) AS n, sum(v) AS total FROM fact JOIN dim USING (k) GROUP BY name')",
        )
        .await?;
    let refresh = "SELECT * FROM pgtrickle.refresh_stream_table('planned')";
    let change = "UPDATE fact SET v = v + 1 WHERE id = 1";
    let database = session.scalar("SELECT current_database()").await?;
    let (mut hit, mut miss) = (Vec::new(), Vec::new());
    for round in 0..COLD_REPEAT + 3 {
        session.execute(change).await?;
        let warm = time_ms(session, refresh).await?;
        if round >= 3 {
            hit.push(warm);
        }
    }
    for _ in 0..COLD_REPEAT {
        session.execute(change).await?;
        let fresh = Session::connect(cluster, &database).await?;
        // The library and the catalogs are there; the plan is not.
        fresh
            .execute("SELECT * FROM pgtrickle.pgt_status()")
            .await?;
        miss.push(time_ms(&fresh, refresh).await?);
    }
    Ok(format!(
        "| template cache | ms |\n|---|---:|\n| hit | {:.3} |\n| miss (query read, compiled and planned) | {:.3} |\n",
        median(&hit),
        median(&miss)
    ))
}

//! Every stream table in turn holds exactly the rows of its query, at the snapshot of a refresh, while everything
//! goes on. The refresh must not be a recomputation: that would repair what it is to judge.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use harness::client::{Session, SqlError, quote_literal};
use harness::oracle::{self, Verdict};
use harness::random::Random;

use crate::arena::{Arena, is_contention};
use crate::schema::{self, StreamTable};
use crate::sometimes::Event;
use harness::workload::sources::{CHAIN, REPLACED_VIEW};

const WHO: &str = "oracle";

/// How often a refresh may lose against the scheduler's before the next table has its turn.
const TRIES: u32 = 20;

/// What came of a turn.
enum Turn {
    /// Exact, after a refresh of this kind.
    Exact { action: String, rows: u64 },
    /// It was recomputed for a reason of its own, and nothing was judged.
    Recomputed(String),
    /// Not exact.
    Wrong(String),
}

/// Judges until the run is over.
pub async fn watch(arena: Arc<Arena>) {
    let tables = schema::stream_tables();
    let mut random = Random::new(arena.seed ^ 0x0AC1E);
    let mut next = 0;
    while let Some(session) = arena.connect(WHO).await {
        while arena.is_running() {
            let table = &tables[next % tables.len()];
            next += 1;
            if let Err(error) = take_turn(&arena, &session, table, &mut random).await {
                arena.report(WHO, &error);
                if session.execute("ROLLBACK").await.is_err() {
                    break;
                }
            }
        }
        if !arena.is_running() {
            return;
        }
    }
}

async fn take_turn(
    arena: &Arena,
    session: &Session,
    table: &StreamTable,
    random: &mut Random,
) -> Result<(), SqlError> {
    if table.mode == "FULL" {
        return Ok(());
    }
    let scans = [CHAIN - 1, CHAIN][random.below(2) as usize];
    let commit = random.percent(50);
    for _ in 0..TRIES {
        match judge(session, table, scans, commit).await {
            Err(error) if is_contention(&error) => {
                session.execute("ROLLBACK").await?;
                let pause = Duration::from_millis(5 + random.below(40));
                tokio::time::sleep(pause).await;
            }
            Err(error) => return Err(error),
            Ok(turn) => {
                conclude(arena, table, scans, turn);
                return Ok(());
            }
        }
    }
    arena.checked(WHO, &table.name, "the scheduler was always quicker");
    Ok(())
}

fn conclude(arena: &Arena, table: &StreamTable, scans: usize, turn: Turn) {
    match turn {
        Turn::Exact { action, rows } => {
            arena.judged.fetch_add(1, Ordering::Relaxed);
            if table.name.starts_with("chain") && action == "DIFFERENTIAL" {
                arena.saw(if scans < CHAIN {
                    Event::PrefixFormJudged
                } else {
                    Event::InlinedFormJudged
                });
            }
            arena.checked(WHO, &table.name, format!("{action}, exact: {rows} rows"));
        }
        Turn::Recomputed(reason) => {
            arena.checked(
                WHO,
                &table.name,
                format!("recomputed, not judged: {reason}"),
            );
        }
        Turn::Wrong(verdict) => arena.violation(WHO, &format!("{}: {verdict}", table.name)),
    }
}

/// Refreshes and judges in one snapshot, with the chain's delta in one of its forms.
async fn judge(
    session: &Session,
    table: &StreamTable,
    scans: usize,
    commit: bool,
) -> Result<Turn, SqlError> {
    session
        .execute(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL pg_trickle.part3_max_scan_count = {scans}"
        ))
        .await?;
    if table.query.contains(REPLACED_VIEW) {
        // A definition that is replaced has no snapshot: it must not change between the refresh and the question.
        session
            .execute(&format!("LOCK TABLE {REPLACED_VIEW} IN ACCESS SHARE MODE"))
            .await?;
    }
    if table.mode == "IMMEDIATE" {
        // It needs no refresh: it is of every snapshot.
        let verdict = oracle::check(session, &table.name).await?;
        session.execute("COMMIT").await?;
        return Ok(if verdict.is_exact() {
            Turn::Exact {
                action: "no refresh".into(),
                rows: verdict.wanted,
            }
        } else {
            Turn::Wrong(format!("without a refresh it is {verdict}"))
        });
    }
    let report = session
        .table(&format!(
            "SELECT action, reason FROM pgtrickle.refresh_stream_table({})",
            quote_literal(&table.name)
        ))
        .await?;
    let action = report.value(0, "action").unwrap_or_default().to_owned();
    let turn = if ["DIFFERENTIAL", "NO_DATA"].contains(&action.as_str()) {
        let verdict = oracle::check(session, &table.name).await?;
        if verdict.is_exact() {
            Turn::Exact {
                action,
                rows: verdict.wanted,
            }
        } else {
            Turn::Wrong(format!("after {action} it is {verdict}"))
        }
    } else {
        let reason = report.value(0, "reason").unwrap_or_default();
        Turn::Recomputed(format!("{action} {reason}"))
    };
    session
        .execute(if commit { "COMMIT" } else { "ROLLBACK" })
        .await?;
    Ok(turn)
}

/// At the end, without any refresh by hand: every stream table comes to be exact by itself.
pub async fn settle(arena: &Arena, session: &Session, patience: Duration) -> Result<(), SqlError> {
    let end = Instant::now() + patience;
    for table in schema::stream_tables() {
        if table.follows_clock {
            continue;
        }
        let verdict = at_rest(session, &table.name, end).await?;
        if verdict.is_exact() {
            let rows = verdict.wanted;
            arena.checked(WHO, &table.name, format!("at rest, exact: {rows} rows"));
        } else {
            let mode = session
                .scalar(&format!(
                    "SELECT s::text FROM pgtrickle.pgt_status() s WHERE name = {}",
                    quote_literal(&table.name)
                ))
                .await?;
            arena.violation(WHO, &format!("{} at rest is {verdict}\n{mode}", table.name));
        }
    }
    Ok(())
}

/// The verdict on a stream table as soon as the scheduler has made it exact, or at the end of patience.
pub async fn at_rest(session: &Session, table: &str, end: Instant) -> Result<Verdict, SqlError> {
    loop {
        let verdict = oracle::check(session, table).await?;
        if verdict.is_exact() || Instant::now() > end {
            return Ok(verdict);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

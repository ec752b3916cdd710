//! A standby that is made under load and promoted: its stream tables follow its own sources from then on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::client::Session;
use harness::random::Random;
use tokio::task::block_in_place;

use super::Outcome;
use crate::arena::{Arena, DATABASE};
use crate::check::oracle::at_rest;
use crate::schema;
use crate::server::Server;
use crate::writer;

/// How long a step may take.
const DEADLINE: Duration = Duration::from_secs(90);

/// Makes it, promotes it, lets its scheduler work, and judges every stream table.
pub async fn of_a_standby(arena: &Arena) -> Result<Outcome> {
    let standby = block_in_place(|| arena.server.standby())?;
    let session = Session::connect(&*standby, DATABASE).await?;
    let state = session.scalar("SELECT pgtrickle.scheduler_state()").await?;
    ensure!(state == "STANDBY", "a standby's scheduler says {state}");
    let primary = arena.connect("nemesis").await.context("the run is over")?;
    let reached = primary.scalar("SELECT pg_current_wal_lsn()").await?;
    until(
        &session,
        &format!("SELECT pg_last_wal_replay_lsn() >= '{reached}'"),
    )
    .await?;
    ensure!(
        session.scalar("SELECT pg_promote()").await? == "t",
        "the standby was not promoted"
    );
    until(&session, "SELECT pgtrickle.scheduler_state() = 'RUNNING'").await?;
    // What was prepared on the primary is nobody's here, and holds its locks.
    writer::resolve_all_prepared(&session, &mut Random::new(arena.seed)).await?;
    session
        .execute("UPDATE beat SET at = clock_timestamp() WHERE id = 1")
        .await?;
    until(
        &session,
        "SELECT (SELECT at FROM beat_deep) = (SELECT at FROM beat)",
    )
    .await?;
    let judged = judge(&*standby, &session).await?;
    Ok(Outcome::Done(format!(
        "{judged} stream tables exact after promotion"
    )))
}

/// Every stream table against its query, without a refresh by hand.
async fn judge(standby: &dyn Server, session: &Session) -> Result<usize> {
    let mut judged = 0;
    let end = Instant::now() + DEADLINE;
    for table in schema::stream_tables() {
        if table.follows_clock {
            continue;
        }
        // What was pending at the promotion is applied by the scheduler.
        let verdict = at_rest(session, &table.name, end).await?;
        ensure!(
            verdict.is_exact(),
            "on the promoted standby {} is {verdict}\n{}",
            table.name,
            standby.log_tail(20)
        );
        judged += 1;
    }
    Ok(judged)
}

async fn until(session: &Session, condition: &str) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    while session.scalar(condition).await? != "t" {
        ensure!(Instant::now() < end, "waited in vain for {condition}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

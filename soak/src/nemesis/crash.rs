//! Processes that are killed or ended, and servers that stop without a warning.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::cluster::{StopMode, crash_lines};
use harness::random::Random;
use tokio::task::block_in_place;

use super::Outcome;
use crate::arena::Arena;
use crate::sometimes::Event;

/// SIGKILL to a process of this kind, one that is at work if there is one.
pub async fn kill(arena: &Arena, kind: &str) -> Result<Outcome> {
    let session = arena.connect("nemesis").await.context("the run is over")?;
    let pid = session
        .scalar(&format!(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = '{kind}' AND pid <> pg_backend_pid()
             ORDER BY state = 'active' DESC NULLS LAST, query LIKE '%account%' DESC LIMIT 1"
        ))
        .await?;
    let Ok(pid) = pid.parse() else {
        return Ok(Outcome::Done(format!("there was no {kind}")));
    };
    let mark = arena.server.log_end();
    if arena.server.kill_backend(pid).is_err() {
        return Ok(Outcome::Done(format!("{kind} {pid} had gone")));
    }
    for _ in 0..500 {
        if !crash_lines(&arena.server.log_since(mark)).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    block_in_place(|| arena.server.wait_ready())?;
    arena.saw(Event::RecoveredCrash);
    Ok(Outcome::Done(format!("killed {kind} {pid}")))
}

/// SIGTERM to one of the extension's own processes.
pub async fn end_process(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let kinds = ["worker", "scheduler", "launcher"];
    let kind = kinds[random.below(3) as usize];
    let session = arena.connect("nemesis").await.context("the run is over")?;
    session
        .execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_trickle {kind}'"
        ))
        .await?;
    Ok(Outcome::Done(format!("ended every {kind}")))
}

/// Stops at once and recovers.
pub async fn restart_immediately(arena: &Arena) -> Result<Outcome> {
    block_in_place(|| arena.server.stop(StopMode::Immediate))?;
    block_in_place(|| arena.server.launch())?;
    arena.saw(Event::RecoveredCrash);
    Ok(Outcome::Done("stopped at once, recovered".into()))
}

/// Stops cleanly while everything is at work.
pub async fn stop_without_drain(arena: &Arena) -> Result<Outcome> {
    stop_cleanly(arena).map(|()| Outcome::Done("stopped under load".into()))
}

/// A fast stop and a start; the stop has to be clean.
pub fn stop_cleanly(arena: &Arena) -> Result<()> {
    let mark = arena.server.log_end();
    block_in_place(|| arena.server.stop(StopMode::Fast))?;
    let log = arena.server.log_since(mark);
    let crashes = crash_lines(&log);
    block_in_place(|| arena.server.launch())?;
    if !log.contains("database system is shut down") || !crashes.is_empty() {
        bail!("the stop was not clean: {}", crashes.join("; "));
    }
    Ok(())
}

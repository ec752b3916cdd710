//! Drains while writers go on: nothing is begun until the restart, or until somebody resumes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harness::client::Session;

use super::Outcome;
use super::crash::stop_cleanly;
use crate::arena::Arena;
use crate::sometimes::Event;

/// How long nothing may begin.
const STILL: Duration = Duration::from_millis(800);

/// Drains, stops, starts: a restart ends the drain.
pub async fn drain_and_stop(arena: &Arena) -> Result<Outcome> {
    let committed = drained(arena).await?;
    stop_cleanly(arena)?;
    Ok(Outcome::Done(format!(
        "{committed} commits while drained, then stopped"
    )))
}

/// Drains and resumes.
pub async fn drain_and_resume(arena: &Arena) -> Result<Outcome> {
    let committed = drained(arena).await?;
    let session = arena.connect("nemesis").await.context("the run is over")?;
    session.execute("SELECT pgtrickle.resume()").await?;
    Ok(Outcome::Done(format!(
        "{committed} commits while drained, then resumed"
    )))
}

/// Drains and makes sure that it holds. How many transactions committed meanwhile.
async fn drained(arena: &Arena) -> Result<u64> {
    let session = arena.connect("nemesis").await.context("the run is over")?;
    let before = arena.committed.load(Ordering::Relaxed);
    if session.scalar("SELECT pgtrickle.drain(60)").await? != "t" {
        let running = session
            .scalar("SELECT string_agg(w::text, ' ') FROM pgtrickle.refresh_workers() w")
            .await?;
        bail!("the drain did not end within 60 seconds: {running}");
    }
    // The checkers refresh by hand, which a drain does not stop: only the workers are looked at.
    for _ in 0..4 {
        tokio::time::sleep(STILL / 4).await;
        ensure!(
            busy(&session).await? == "0",
            "a worker refreshes in spite of the drain"
        );
    }
    let committed = arena.committed.load(Ordering::Relaxed) - before;
    if committed > 0 {
        arena.saw(Event::DrainUnderLoad);
    }
    Ok(committed)
}

async fn busy(session: &Session) -> Result<String> {
    Ok(session
        .scalar("SELECT count(*) FROM pgtrickle.refresh_workers() WHERE state = 'BUSY'")
        .await?)
}

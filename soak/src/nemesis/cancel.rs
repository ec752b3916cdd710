//! Refreshes that are cancelled: one that is known to be writing, and whichever happens to run.

use anyhow::{Context, Result};
use harness::random::Random;
use harness::runtime::wait_for_gate;

use super::Outcome;
use super::recovery::wait_until;
use crate::arena::Arena;
use crate::sometimes::Event;

/// Stops the refresh of `gated` at its first row, and cancels it there.
pub async fn in_mid_apply(arena: &Arena) -> Result<Outcome> {
    let holder = arena.connect("nemesis").await.context("the run is over")?;
    let session = arena.connect("nemesis").await.context("the run is over")?;
    holder.execute("SELECT pg_advisory_lock(42)").await?;
    session
        .execute("INSERT INTO gate_source SELECT coalesce(max(id), 0) + 1 FROM gate_source")
        .await?;
    wait_for_gate(&session).await?;
    let cancelled = session
        .scalar(
            "SELECT count(pg_cancel_backend(a.pid)) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
             WHERE l.locktype = 'advisory' AND l.objid = 42 AND NOT l.granted
               AND a.backend_type = 'pg_trickle worker'",
        )
        .await?;
    wait_until(
        arena,
        "the cancelled refresh is on record",
        "SELECT count(*) > 0 FROM pgtrickle.refresh_failures() f
         WHERE f.pgt_id = pgtrickle.pgt_id_of('gated') AND f.condition LIKE '57014%'",
    )
    .await?;
    arena.saw(Event::CancelledInApply);
    holder.execute("SELECT pg_advisory_unlock(42)").await?;
    wait_until(
        arena,
        "the cancelled refresh is made up for",
        "SELECT (SELECT count(*) FROM gated) = (SELECT count(*) FROM gate_source)",
    )
    .await?;
    Ok(Outcome::Done(format!("cancelled {cancelled} at the gate")))
}

/// Cancels workers at moments that nobody chose.
pub async fn anywhere(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let session = arena.connect("nemesis").await.context("the run is over")?;
    let mut cancelled = 0;
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_millis(random.below(300))).await;
        let count = session
            .scalar(
                "SELECT count(pg_cancel_backend(pid)) FROM pgtrickle.refresh_workers() WHERE state = 'BUSY'",
            )
            .await?;
        cancelled += count.parse::<u64>().unwrap_or(0);
    }
    Ok(Outcome::Done(format!("cancelled {cancelled} at work")))
}

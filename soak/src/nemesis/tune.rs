//! Changes from outside that are no faults: another definition below a stream table, other settings.

use anyhow::{Context, Result};
use harness::random::Random;

use super::Outcome;
use super::recovery::wait_until;
use crate::arena::{Arena, is_contention};
use crate::sometimes::Event;
use harness::workload::sources::REPLACED_VIEW;

/// Gives a nested view another meaning and empties a source; the stream tables over them are recomputed, and
/// say so.
pub async fn redefine(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let session = arena.connect("nemesis").await.context("the run is over")?;
    let last = session
        .scalar("SELECT coalesce(max(history_id), 0) FROM pgtrickle.pgt_refresh_history")
        .await?;
    let factor = 2 + random.below(50);
    let redefinition = format!(
        "CREATE OR REPLACE VIEW {REPLACED_VIEW} AS SELECT id, region, factor * {factor} AS factor FROM branch;
         UPDATE branch SET factor = factor + 1 WHERE id = 1;
         TRUNCATE spare; INSERT INTO spare SELECT i, i % 10 FROM generate_series(1, 200) i"
    );
    // Writers lock the same tables in other orders, and may be the ones that go on.
    while let Err(error) = session.execute(&redefinition).await {
        if !is_contention(&error) {
            return Err(error.into());
        }
        arena.report("redefinition", &error);
    }
    let full = format!(
        "FROM pgtrickle.pgt_refresh_history
         WHERE history_id > {last} AND action = 'FULL' AND status = 'COMPLETED' AND reason IS NOT NULL
           AND pgt_id = pgtrickle.pgt_id_of('redefined')"
    );
    wait_until(
        arena,
        "the redefined stream table has been recomputed",
        &format!("SELECT count(*) > 0 {full}"),
    )
    .await?;
    arena.saw(Event::FullFallback);
    let reason = session
        .scalar(&format!("SELECT reason {full} ORDER BY history_id LIMIT 1"))
        .await?;
    Ok(Outcome::Done(format!("recomputed: {reason}")))
}

/// Changes the form of join deltas and the pace of refreshes in the running server.
pub async fn reconfigure(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let session = arena.connect("nemesis").await.context("the run is over")?;
    let scans = 3 + random.below(6);
    let rest_ms = [5, 50, 200][random.below(3) as usize];
    session
        .execute(&format!(
            "ALTER SYSTEM SET pg_trickle.part3_max_scan_count = {scans}"
        ))
        .await?;
    session
        .execute(&format!(
            "ALTER SYSTEM SET pg_trickle.min_refresh_interval_ms = {rest_ms}"
        ))
        .await?;
    session.execute("SELECT pg_reload_conf()").await?;
    Ok(Outcome::Done(format!(
        "part3_max_scan_count {scans}, min_refresh_interval_ms {rest_ms}"
    )))
}

//! When all is well again: the server answers, the scheduler runs, and the heartbeat arrives at the end of the
//! deepest chain of stream tables.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::backend::Backend;
use harness::client::{Session, SqlError, quote_literal};

use crate::arena::{Arena, DATABASE};

/// How long it may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);

/// Waits for it. Only a heartbeat of after the strike tells anything.
pub async fn all_is_well(arena: &Arena) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    let mut last = String::from("nothing was seen");
    let mut since = None;
    while Instant::now() < end && arena.is_running() {
        match look(&*arena.server, &mut since).await {
            Ok(found) if found == "t RUNNING RUNNING" => return Ok(()),
            Ok(found) => last = found,
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if arena.is_running() {
        bail!("after {DEADLINE:?}: {last}");
    }
    Ok(())
}

/// Whether the heartbeat has arrived since the first look, and what scheduler and drain are about.
async fn look(server: &dyn Backend, since: &mut Option<String>) -> Result<String, SqlError> {
    let session = Session::connect(server, DATABASE).await?;
    let since = match since {
        Some(since) => since,
        None => since.insert(session.scalar("SELECT clock_timestamp()").await?),
    };
    session
        .scalar(&format!(
            "SELECT format('%s %s %s',
                 (SELECT at > {} FROM beat_deep),
                 pgtrickle.scheduler_state(),
                 (SELECT state FROM pgtrickle.drain_status()))",
            quote_literal(since)
        ))
        .await
}

/// Waits until a condition holds, whatever happens to the connection meanwhile.
pub async fn wait_until(arena: &Arena, what: &str, condition: &str) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    let mut last = String::new();
    while Instant::now() < end {
        let session = arena.connect("nemesis").await.context("the run is over")?;
        loop {
            match session.scalar(condition).await {
                Ok(found) if found == "t" => return Ok(()),
                Ok(found) => last = found,
                Err(error) => {
                    arena.report("nemesis", &error);
                    break;
                }
            }
            if Instant::now() > end {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    bail!("waited in vain until {what}; the last look showed {last:?}")
}

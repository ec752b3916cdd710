//! What breaks things, one kind in each file, and the schedule on which they strike.
//!
//! A nemesis strikes, and then everything must come right by itself: connections, scheduler, heartbeat. How long
//! that took is written down; if it takes too long, that is a violation.

mod cancel;
mod crash;
mod disk;
mod drain;
mod overflow;
mod promotion;
mod recovery;
mod schedule;
mod tune;

pub use disk::own_mounts;
pub use overflow::RING_CAPACITY;
pub use schedule::{Kind, plan};

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use harness::random::Random;

use crate::arena::Arena;
use crate::journal::Event;

/// A strike that could not be made says why; one that was made says what it did.
pub(crate) enum Outcome {
    /// What it did.
    Done(String),
    /// Why it cannot be made here.
    Skipped(String),
}

/// Follows the schedule until the time is up. Where recovery takes so long that strikes are overdue by then, they are
/// left out, and said to be.
pub async fn haunt(arena: Arc<Arena>, length: Duration) {
    let started = Instant::now();
    let mut random = Random::new(arena.seed ^ 0xBAD);
    for strike in plan(arena.seed, length, arena.profile.cycle()) {
        let until = strike.at.saturating_sub(started.elapsed());
        arena.rest(until).await;
        if !arena.is_running() {
            return;
        }
        if started.elapsed() >= length {
            arena.journal.write(Event::FaultSkipped {
                fault: strike.kind.name().to_owned(),
                reason: "the time is up".to_owned(),
            });
            continue;
        }
        strike_once(&arena, strike.kind, &mut random).await;
    }
}

/// One strike, from before it until all is well.
async fn strike_once(arena: &Arc<Arena>, kind: Kind, random: &mut Random) {
    let fault = kind.name().to_owned();
    arena.journal.write(Event::FaultBegin {
        fault: fault.clone(),
    });
    arena.windows.open(&fault);
    let outcome = match strike(arena, kind, random).await {
        Ok(Outcome::Done(outcome)) => outcome,
        Ok(Outcome::Skipped(reason)) => {
            arena.windows.close();
            arena.journal.write(Event::FaultSkipped { fault, reason });
            return;
        }
        Err(error) => {
            arena.violation(&fault, &format!("{error:#}"));
            "failed".to_owned()
        }
    };
    let struck = Instant::now();
    if let Err(error) = recovery::all_is_well(arena).await {
        arena.violation(&fault, &format!("no recovery: {error:#}"));
    }
    arena.windows.close();
    arena.journal.write(Event::FaultEnd {
        fault,
        outcome,
        recovered_s: struck.elapsed().as_secs_f64(),
    });
}

async fn strike(arena: &Arc<Arena>, kind: Kind, random: &mut Random) -> Result<Outcome> {
    match kind {
        Kind::WorkerKill => crash::kill(arena, "pg_trickle worker").await,
        Kind::WriterKill => crash::kill(arena, "client backend").await,
        Kind::ProcessEnd => crash::end_process(arena, random).await,
        Kind::ImmediateRestart => crash::restart_immediately(arena).await,
        Kind::PlainStop => crash::stop_without_drain(arena).await,
        Kind::DrainAndStop => drain::drain_and_stop(arena).await,
        Kind::DrainAndResume => drain::drain_and_resume(arena).await,
        Kind::CancelInApply => cancel::in_mid_apply(arena).await,
        Kind::CancelAnywhere => cancel::anywhere(arena, random).await,
        Kind::RingOverflow => overflow::of_the_ring(arena).await,
        Kind::Redefinition => tune::redefine(arena, random).await,
        Kind::Reconfiguration => tune::reconfigure(arena, random).await,
        Kind::Promotion => promotion::of_a_standby(arena).await,
        Kind::DiskFull => disk::runs_full().await,
    }
}

//! Draining: no refresh starts, running ones finish, until a session
//! resumes or the server restarts. Covers every database; capture continues.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::pg::{cluster, process, user};
use crate::shmem::counters::DRAIN_TIMEOUTS;
use crate::shmem::drain::Requested;
use crate::shmem::{self, Block, notes};

/// How often a drain looks for the end of running refreshes. Drains are rare, so the waiter polls and finishing
/// refreshes do not signal it.
const PACE: Duration = Duration::from_millis(10);

fn block(what: &'static str) -> Result<&'static Block> {
    shmem::block().ok_or(Error::NotPreloaded(what))
}

/// Begins a drain and waits for at most `timeout`; returns whether nothing is in flight then. The drain continues
/// if the wait is cancelled or too short.
pub fn drain(timeout: Duration) -> Result<bool> {
    let block = block("drain")?;
    block.drain.begin(Requested {
        since_us: cluster::microseconds(cluster::now()),
        role: user::current().to_u32(),
        pid: process::own_pid(),
    });
    let start = Instant::now();
    loop {
        if others_in_flight(block) == 0 {
            return Ok(true);
        }
        let Some(left) = timeout
            .checked_sub(start.elapsed())
            .filter(|left| !left.is_zero())
        else {
            DRAIN_TIMEOUTS.count();
            return Ok(false);
        };
        process::sleep(Some(left.min(PACE)));
        pgrx::check_for_interrupts!();
        if !block.drain.is_on() {
            return Ok(false);
        }
    }
}

/// Refreshes in flight other than this transaction's own, whose end the drain would wait for forever.
pub fn others_in_flight(block: &Block) -> usize {
    block
        .in_flight()
        .saturating_sub(usize::from(notes::is_refreshing()))
}

/// Whether a drain is on and nothing is in flight.
pub fn is_drained() -> bool {
    shmem::block().is_some_and(|block| block.drain.is_on() && others_in_flight(block) == 0)
}

/// Ends a drain; returns whether one was on. Every scheduler looks for what has become due.
pub fn resume() -> Result<bool> {
    let block = block("resume")?;
    let was_on = block.drain.end();
    for database in block
        .databases
        .iter()
        .filter(|database| database.oid() != 0)
    {
        database.scheduler.wake();
    }
    Ok(was_on)
}

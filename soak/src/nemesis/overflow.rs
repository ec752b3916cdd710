//! More stream tables at once than the ring of changed definitions holds.

use anyhow::{Context, Result};

use super::Outcome;
use super::recovery::wait_until;
use crate::arena::Arena;
use crate::sometimes::Event;

/// The capacity that the run gives the ring.
pub const RING_CAPACITY: usize = 8;

const COUNT: &str = "SELECT value::bigint FROM pgtrickle.runtime_counters() WHERE name = 'invalidation_ring_overflows_total'";

/// Creates them in one transaction, sees each of them follow its source, and drops them in another.
pub async fn of_the_ring(arena: &Arena) -> Result<Outcome> {
    let session = arena.connect("nemesis").await.context("the run is over")?;
    let before: i64 = session.scalar(COUNT).await?.parse().unwrap_or(0);
    let call = |number: usize| {
        format!(
            "SELECT pgtrickle.create_stream_table('burst_{number}', 'SELECT id + {number} AS n FROM burst_source');"
        )
    };
    let create: String = (0..RING_CAPACITY * 2).map(call).collect();
    session.execute(&format!("BEGIN; {create} COMMIT")).await?;
    session
        .execute("INSERT INTO burst_source SELECT coalesce(max(id), 0) + 1 FROM burst_source")
        .await?;
    for number in [0, RING_CAPACITY, RING_CAPACITY * 2 - 1] {
        let condition = format!(
            "SELECT (SELECT count(*) FROM burst_{number}) = (SELECT count(*) FROM burst_source)"
        );
        wait_until(arena, "a new stream table follows", &condition).await?;
    }
    let after: i64 = session.scalar(COUNT).await?.parse().unwrap_or(0);
    if after > before {
        arena.saw(Event::RingOverflow);
    }
    let drop: String = (0..RING_CAPACITY * 2)
        .map(|number| format!("SELECT pgtrickle.drop_stream_table('burst_{number}');"))
        .collect();
    session.execute(&format!("BEGIN; {drop} COMMIT")).await?;
    Ok(Outcome::Done(format!("{} overflows", after - before)))
}

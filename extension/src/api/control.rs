//! Stopping and starting refreshes: the owner those of a stream table, roles that may signal backends
//! all of them.

use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::{argument, change};
use crate::catalog::{self, FailureRow, Status};
use crate::ddl::{alter, locks};
use crate::error::{Error, Result, or_report};
use crate::pg::{acl, cluster, name};
use crate::scheduler::drain;
use crate::shmem;

/// Stops the scheduled refreshes of a stream table, and so of all that read it.
#[pg_extern(schema = "pgtrickle")]
fn suspend_stream_table(name: Option<&str>) {
    change(c"suspend_stream_table()", || {
        let table = argument::owned(name)?;
        let table = locks::lock(&table)?;
        catalog::set_status(table.pgt_id, Status::Suspended)
    });
}

/// Starts them again, also after the runtime has suspended it: its errors are forgotten, and changes
/// that a fuse has stopped may pass.
#[pg_extern(schema = "pgtrickle")]
fn resume_stream_table(name: Option<&str>) {
    change(c"resume_stream_table()", || {
        let table = argument::owned(name)?;
        locks::lock_sources_of(&table, table.requested_mode)?;
        let table = locks::lock(&table)?;
        alter::set_status(&table, Status::Active)?;
        match catalog::failure(table.pgt_id)? {
            Some(failure) if failure.is_fuse => catalog::set_failure(&FailureRow {
                consecutive_errors: 0,
                retry_at: cluster::now(),
                is_approved: true,
                ..failure
            }),
            _ => catalog::clear_failure(table.pgt_id),
        }
    });
}

fn require_signal(what: &'static str) -> Result<()> {
    if acl::may_signal() {
        Ok(())
    } else {
        Err(Error::SignalDenied(what))
    }
}

/// Stops starting refreshes in every database until `resume()` or a restart, and waits for running
/// ones. Returns whether all finished.
#[pg_extern(schema = "pgtrickle")]
fn drain(timeout_s: default!(Option<i32>, "60")) -> bool {
    or_report((|| {
        require_signal("drain")?;
        let timeout_s = timeout_s.unwrap_or(60);
        let timeout_s =
            u64::try_from(timeout_s).map_err(|_| Error::BadTimeout(i64::from(timeout_s)))?;
        drain::drain(Duration::from_secs(timeout_s))
    })())
}

/// Ends a drain. Whether one was on.
#[pg_extern(schema = "pgtrickle")]
fn resume() -> bool {
    or_report(require_signal("resume").and_then(|()| drain::resume()))
}

/// Whether a drain is on and no refresh runs.
#[pg_extern(schema = "pgtrickle")]
fn is_drained() -> bool {
    drain::is_drained()
}

/// Whether a drain is on, since when, by whom, and what still runs.
#[pg_extern(schema = "pgtrickle")]
fn drain_status() -> TableIterator<
    'static,
    (
        name!(state, String),
        name!(since, Option<TimestampWithTimeZone>),
        name!(requested_by, Option<String>),
        name!(requested_by_pid, Option<i32>),
        name!(in_flight, i32),
    ),
> {
    let requested = shmem::block().and_then(|block| block.drain.requested());
    let in_flight = shmem::block().map_or(0, drain::others_in_flight);
    let state = match (requested, in_flight) {
        (None, _) => "RUNNING",
        (Some(_), 0) => "DRAINED",
        (Some(_), _) => "DRAINING",
    };
    TableIterator::once((
        state.to_owned(),
        requested.and_then(|by| cluster::time_at(by.since_us)),
        requested.and_then(|by| name::role(pg_sys::Oid::from(by.role))),
        requested.map(|by| by.pid),
        i32::try_from(in_flight).unwrap_or(i32::MAX),
    ))
}

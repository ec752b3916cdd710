//! What the runtime is doing.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use pgtrickle_dvm::schedule::Schedule;

use super::answer;
use crate::error::or_report;
use crate::monitor;
use crate::pg::{acl, cluster, database};
use crate::scheduler;
use crate::{catalog, shmem};

/// Why stream tables of this database are refreshed by their schedules, or are not.
#[pg_extern(schema = "pgtrickle")]
fn scheduler_state() -> String {
    monitor::scheduler_state().to_owned()
}

/// The stream tables whose last scheduled refresh failed. The message is for those who own them or
/// may monitor.
#[pg_extern(schema = "pgtrickle")]
fn refresh_failures() -> TableIterator<
    'static,
    (
        name!(pgt_id, i64),
        name!(consecutive_errors, i32),
        name!(condition, String),
        name!(message, Option<String>),
        name!(failed_at, TimestampWithTimeZone),
        name!(retry_at, TimestampWithTimeZone),
        name!(is_fuse, bool),
    ),
> {
    let failures = answer(catalog::failures);
    TableIterator::new(failures.into_iter().map(|failure| {
        let owns = catalog::load(failure.pgt_id)
            .ok()
            .flatten()
            .is_some_and(|table| acl::owns_relation(table.relid));
        (
            failure.pgt_id,
            failure.consecutive_errors,
            failure.condition,
            (owns || acl::may_monitor()).then_some(failure.message),
            failure.failed_at,
            failure.retry_at,
            failure.is_fuse,
        )
    }))
}

/// The refresh workers of the cluster.
#[pg_extern(schema = "pgtrickle")]
fn refresh_workers() -> TableIterator<
    'static,
    (
        name!(pid, Option<i32>),
        name!(database, Option<String>),
        name!(state, String),
        name!(pgt_id, Option<i64>),
        name!(tables, i32),
        name!(since, Option<TimestampWithTimeZone>),
    ),
> {
    let workers = monitor::workers();
    TableIterator::new(workers.into_iter().map(|worker| {
        (
            worker.pid,
            database::name(pg_sys::Oid::from(worker.database)),
            worker.state.to_owned(),
            worker.pgt_id,
            worker.tables,
            worker.since_us.and_then(cluster::time_at),
        )
    }))
}

/// How much of what the refresh workers of this database can do is asked of them.
#[pg_extern(schema = "pgtrickle")]
fn refresh_load() -> TableIterator<
    'static,
    (
        name!(saturation, f64),
        name!(busy_workers, f64),
        name!(workers, i32),
        name!(waiting_seconds, f64),
    ),
> {
    let load = monitor::load();
    TableIterator::once((
        scheduler::load::saturation(&load),
        load.busy,
        i32::try_from(load.workers).unwrap_or(i32::MAX),
        load.waiting_s,
    ))
}

/// The stream tables that take the most of the workers' time, and what share of one worker each takes.
#[pg_extern(schema = "pgtrickle")]
fn refresh_shares() -> TableIterator<'static, (name!(pgt_id, i64), name!(worker_share, f64))> {
    TableIterator::new(monitor::load().eaters)
}

/// The recomputations that run in the cluster, also those of manual refreshes and of creation.
#[pg_extern(schema = "pgtrickle")]
fn running_recomputations() -> TableIterator<
    'static,
    (
        name!(pid, i32),
        name!(database, Option<String>),
        name!(pgt_id, i64),
        name!(phase, String),
        name!(since, Option<TimestampWithTimeZone>),
        name!(rows_done, i64),
        name!(rows_total, Option<i64>),
    ),
> {
    TableIterator::new(shmem::running_recomputations().into_iter().map(|seen| {
        (
            seen.pid,
            database::name(pg_sys::Oid::from(seen.database)),
            seen.pgt_id,
            seen.phase.to_owned(),
            cluster::time_at(seen.since_us),
            seen.done.cast_signed(),
            (seen.total > 0).then_some(seen.total.cast_signed()),
        )
    }))
}

/// How far the cluster is, and what keeps change rows from being removed.
#[pg_extern(schema = "pgtrickle")]
fn watermark() -> TableIterator<
    'static,
    (
        name!(wal_bytes, i64),
        name!(oldest_xid, Option<i64>),
        name!(oldest_holder, Option<String>),
        name!(oldest_since, Option<TimestampWithTimeZone>),
        name!(prepared_transactions, i64),
    ),
> {
    let found = or_report(scheduler::watermark());
    TableIterator::once((
        found.wal_bytes,
        found.oldest_xid,
        found.oldest_holder,
        found.oldest_since,
        found.prepared,
    ))
}

/// The stream tables that may be behind: a source has committed changes that they do not contain, they
/// have not been filled, or what they read is behind.
#[pg_extern(schema = "pgtrickle")]
fn stale_stream_tables() -> SetOfIterator<'static, i64> {
    SetOfIterator::new(answer(monitor::stale))
}

/// The interval of a schedule in seconds; NULL for one that is no interval.
#[pg_extern(schema = "pgtrickle", immutable, parallel_safe)]
fn schedule_seconds(schedule: &str) -> Option<f64> {
    match schedule.parse() {
        Ok(Schedule::Every(interval)) => Some(interval.as_secs_f64()),
        Ok(Schedule::Calculated | Schedule::Cron(_)) | Err(_) => None,
    }
}

/// Counters and gauges of the cluster that are kept in shared memory.
#[pg_extern(schema = "pgtrickle")]
fn runtime_counters() -> TableIterator<'static, (name!(name, String), name!(value, i64))> {
    TableIterator::new(monitor::counters())
}

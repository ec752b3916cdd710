//! The runtime: its events, its workers, its scheduler, and whether it is drained.

use super::{DATNAME, counter, gauge};
use crate::metric::{Group, Label};

pub const GROUPS: &[Group] = &[RUNTIME, LOAD, SCHEDULER];

const RUNTIME: Group = Group {
    prefix: "pg_trickle",
    labels: &[DATNAME],
    metrics: &[
        counter(
            "invalidation_ring_overflows_total",
            "overflows",
            "How often a scheduler fell behind and reread its whole catalog",
        ),
        counter(
            "dag_cycles_detected_total",
            "cycles",
            "Definitions refused because a stream table would have read itself",
        ),
        counter(
            "template_cache_stale_evictions_total",
            "plans",
            "Cached plans dropped because a definition changed",
        ),
        counter("wakeups_total", "commits", "Commits that woke a scheduler"),
        counter("dispatches_total", "jobs", "Jobs handed to a worker"),
        counter(
            "refreshes_without_data_total",
            "refreshes",
            "Refreshes that found nothing to do",
        ),
        counter(
            "refresh_retries_total",
            "jobs",
            "Jobs retried after a serialization failure or a deadlock",
        ),
        counter(
            "fuses_blown_total",
            "stream tables",
            "How often pg_trickle.fuse_ceiling suspended a stream table",
        ),
        counter(
            "worker_start_failures_total",
            "processes",
            "How often the server had no room for a scheduler or a worker",
        ),
        counter(
            "drain_timeouts_total",
            "drains",
            "Drains that timed out while a refresh was running",
        ),
        counter(
            "refreshes_given_way_total",
            "refreshes",
            "Refreshes cancelled and restarted because a session waited for one of their locks",
        ),
        counter(
            "source_deltas_read_total",
            "reads",
            "How often workers read a source's buffer for the stream tables of a job",
        ),
        counter(
            "source_deltas_shared_total",
            "refreshes",
            "How often refreshes reused changes of a source that another one of their job had read",
        ),
        gauge("workers", "processes", "Refresh workers of the cluster"),
        gauge("workers_busy", "processes", "Refresh workers that are refreshing"),
        gauge(
            "workers_max",
            "processes",
            "Maximum number of refresh workers: pg_trickle.max_refresh_workers",
        ),
        gauge(
            "refreshes_in_flight",
            "refreshes",
            "Running refreshes, including manual ones",
        ),
        gauge("draining", "0 or 1", "Whether a drain is on"),
        gauge(
            "drained",
            "0 or 1",
            "Whether a drain is on and no refresh runs",
        ),
    ],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, f.*
        FROM (SELECT jsonb_object_agg(name, value)
                     || jsonb_build_object('workers_max', current_setting('pg_trickle.max_refresh_workers')::bigint)
              FROM pgtrickle.runtime_counters()) AS c (figures)
        CROSS JOIN jsonb_to_record(c.figures) AS f (
            invalidation_ring_overflows_total bigint, dag_cycles_detected_total bigint,
            template_cache_stale_evictions_total bigint, wakeups_total bigint, dispatches_total bigint,
            refreshes_without_data_total bigint, refresh_retries_total bigint, fuses_blown_total bigint,
            worker_start_failures_total bigint, drain_timeouts_total bigint, refreshes_given_way_total bigint,
            source_deltas_read_total bigint, source_deltas_shared_total bigint,
            workers bigint, workers_busy bigint,
            workers_max bigint, refreshes_in_flight bigint, draining bigint, drained bigint)",
};

const LOAD: Group = Group {
    prefix: "pg_trickle_load",
    labels: &[DATNAME],
    metrics: &[
        gauge(
            "saturation",
            "ratio",
            "Refresh work due in the last seconds ÷ capacity of the database's workers in that time",
        ),
        gauge(
            "busy_workers",
            "processes",
            "Busy workers, on average over the last seconds",
        ),
        gauge(
            "waiting_seconds",
            "seconds",
            "Expected time of the due refreshes that have no worker",
        ),
    ],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, l.saturation, l.busy_workers, l.waiting_seconds
        FROM pgtrickle.refresh_load() AS l",
};

const SCHEDULER: Group = Group {
    prefix: "pg_trickle_scheduler",
    labels: &[
        DATNAME,
        Label {
            name: "state",
            help: "`RUNNING`, `STARTING`, `STANDBY`, `DISABLED`, `DRAINED`, `NOT_PRELOADED` or `NO_SCHEDULER`",
        },
    ],
    metrics: &[
        gauge("info", "1", "Always 1; the state is its label"),
        gauge(
            "absent",
            "0 or 1",
            "Whether the database lacks a scheduler that should run",
        ),
    ],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, s.state, 1 AS info,
               (s.state IN ('STARTING', 'NOT_PRELOADED', 'NO_SCHEDULER'))::int AS absent
        FROM pgtrickle.scheduler_state() AS s (state)",
};

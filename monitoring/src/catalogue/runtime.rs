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
            "How often a scheduler was so late that it had to read its whole catalog",
        ),
        counter(
            "dag_cycles_detected_total",
            "cycles",
            "Definitions that were refused because a stream table would have read itself",
        ),
        counter(
            "template_cache_stale_evictions_total",
            "plans",
            "Kept plans that were dropped because a definition had changed",
        ),
        counter("wakeups_total", "commits", "Commits that woke a scheduler"),
        counter("dispatches_total", "jobs", "Jobs that were given to a worker"),
        counter(
            "refreshes_without_data_total",
            "refreshes",
            "Refreshes that found nothing to do",
        ),
        counter(
            "refresh_retries_total",
            "jobs",
            "Jobs that were done again after a serialization failure or a deadlock",
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
            "Drains that ended before every refresh had",
        ),
        counter(
            "refreshes_given_way_total",
            "refreshes",
            "Refreshes that were cancelled and begun again because a session waited for a lock of theirs",
        ),
        counter(
            "source_deltas_read_total",
            "reads",
            "How often workers have read what a source's buffer holds for the stream tables of a job",
        ),
        counter(
            "source_deltas_shared_total",
            "refreshes",
            "How often refreshes took changes of a source that another one of their job had read",
        ),
        gauge("workers", "processes", "Refresh workers of the cluster"),
        gauge("workers_busy", "processes", "Those of them that refresh"),
        gauge(
            "workers_max",
            "processes",
            "How many there may be: pg_trickle.max_refresh_workers",
        ),
        gauge(
            "refreshes_in_flight",
            "refreshes",
            "Refreshes that run, manual ones included",
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
            "Refresh work that was due in the last seconds ÷ what the workers of the database can do in them",
        ),
        gauge(
            "busy_workers",
            "processes",
            "Workers that were busy, on average over the last seconds",
        ),
        gauge(
            "waiting_seconds",
            "seconds",
            "What the refreshes that are due and have no worker are expected to take",
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
            "Whether a scheduler should run in the database and does not",
        ),
    ],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, s.state, 1 AS info,
               (s.state IN ('STARTING', 'NOT_PRELOADED', 'NO_SCHEDULER'))::int AS absent
        FROM pgtrickle.scheduler_state() AS s (state)",
};

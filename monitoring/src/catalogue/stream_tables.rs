//! The state of each stream table.

use super::{DATNAME, TABLE, gauge};
use crate::metric::{Group, Label};

pub const GROUPS: &[Group] = &[STATE];

const STATE: Group = Group {
    prefix: "pg_trickle_stream_table",
    labels: &[
        DATNAME,
        TABLE,
        Label {
            name: "refresh_mode",
            help: "`DIFFERENTIAL`, `FULL` or `IMMEDIATE`: the mode in use",
        },
    ],
    metrics: &[
        gauge("suspended", "0 or 1", "Whether it is suspended"),
        gauge("populated", "0 or 1", "Whether it has been filled"),
        gauge(
            "fallback",
            "0 or 1",
            "Whether the requested mode is AUTO and the mode in use FULL",
        ),
        gauge(
            "needs_restore",
            "0 or 1",
            "Whether it came with a dump or a copied database and needs restore_stream_tables()",
        ),
        gauge(
            "schedule_seconds",
            "seconds",
            "The interval of its schedule; 0 if it is not an interval",
        ),
        gauge(
            "pending",
            "0 or 1",
            "Whether a direct or indirect source has committed changes that it does not contain",
        ),
        gauge(
            "staleness_seconds",
            "seconds",
            "An upper bound on how far it lags behind: 0 if nothing is pending, else the age of its content",
        ),
        gauge(
            "staleness_wal_bytes",
            "bytes",
            "The same in bytes of WAL: 0 if nothing is pending, else what has been written since its last refresh",
        ),
        gauge(
            "consecutive_errors",
            "refreshes",
            "Number of consecutive failed scheduled refreshes",
        ),
        gauge(
            "worker_share",
            "ratio",
            "Share of one worker's time that its refreshes took in the last seconds, if it is among the highest",
        ),
    ],
    cache_s: 15,
    sql: "
        WITH stale AS MATERIALIZED (SELECT * FROM pgtrickle.stale_stream_tables() AS s (pgt_id)
        ), wal AS MATERIALIZED (
            SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS lsn)
        SELECT current_database()::text AS datname, s.name AS stream_table, s.refresh_mode,
               (s.status = 'SUSPENDED')::int AS suspended,
               s.is_populated::int AS populated,
               (s.requested_mode = 'AUTO' AND s.refresh_mode = 'FULL')::int AS fallback,
               s.needs_restore::int AS needs_restore,
               coalesce(pgtrickle.schedule_seconds(s.schedule), 0) AS schedule_seconds,
               (stale.pgt_id IS NOT NULL)::int AS pending,
               CASE WHEN stale.pgt_id IS NULL THEN 0
                    ELSE extract(epoch FROM clock_timestamp() - coalesce(t.data_timestamp, t.created_at)) END
                   AS staleness_seconds,
               CASE WHEN stale.pgt_id IS NULL OR s.needs_restore THEN 0
                    ELSE coalesce(wal.lsn - t.data_lsn, 0) END AS staleness_wal_bytes,
               coalesce(s.consecutive_errors, 0) AS consecutive_errors,
               coalesce(s.worker_share, 0) AS worker_share
        FROM pgtrickle.pgt_status() AS s
        JOIN pgtrickle.pgt_stream_tables AS t ON t.pgt_relid = s.name::regclass
        LEFT JOIN stale ON stale.pgt_id = t.pgt_id
        CROSS JOIN wal",
};

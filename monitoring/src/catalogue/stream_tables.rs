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
            help: "`DIFFERENTIAL` or `FULL`: the mode in use",
        },
    ],
    metrics: &[
        gauge("suspended", "0 or 1", "Whether it is suspended"),
        gauge("populated", "0 or 1", "Whether it has been filled"),
        gauge(
            "fallback",
            "0 or 1",
            "Whether AUTO was asked for and FULL is in use",
        ),
        gauge(
            "needs_restore",
            "0 or 1",
            "Whether it came from another database and waits for restore_stream_tables()",
        ),
        gauge(
            "schedule_seconds",
            "seconds",
            "The interval of its schedule; 0 if that is no interval",
        ),
        gauge(
            "pending",
            "0 or 1",
            "Whether a source has committed changes that it does not contain",
        ),
        gauge(
            "staleness_seconds",
            "seconds",
            "An upper bound on how far it lags behind: 0 if nothing is pending, else the age of its content",
        ),
        gauge(
            "consecutive_errors",
            "refreshes",
            "How many refreshes have failed since the last one that did not",
        ),
    ],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, s.name AS stream_table, s.refresh_mode,
               (s.status = 'SUSPENDED')::int AS suspended,
               s.is_populated::int AS populated,
               (s.requested_mode = 'AUTO' AND s.refresh_mode = 'FULL')::int AS fallback,
               s.needs_restore::int AS needs_restore,
               coalesce(i.seconds, 0) AS schedule_seconds,
               (p.pending)::int AS pending,
               CASE WHEN p.pending THEN extract(epoch FROM clock_timestamp() - s.data_timestamp) ELSE 0 END
                   AS staleness_seconds,
               e.consecutive_errors
        FROM pgtrickle.pgt_status() AS s
        JOIN pgtrickle.pgt_stream_tables AS t ON t.pgt_relid = s.name::regclass
        CROSS JOIN LATERAL (
            SELECT sum(m[1]::float8 * CASE lower(left(m[2], 2))
                           WHEN 'ms' THEN 0.001 WHEN 'm' THEN 60 WHEN 'mi' THEN CASE WHEN lower(m[2]) LIKE 'mil%' THEN 0.001 ELSE 60 END
                           WHEN 'h' THEN 3600 WHEN 'ho' THEN 3600 WHEN 'd' THEN 86400 WHEN 'da' THEN 86400
                           WHEN 'w' THEN 604800 WHEN 'we' THEN 604800 ELSE 1 END) AS seconds
            FROM regexp_matches(s.schedule, '([0-9]+) *([A-Za-z]*)', 'g') AS m
            WHERE s.schedule ~ '^( *[0-9]+ *[A-Za-z]*)+ *$'
        ) AS i
        CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT FROM pgtrickle.pgt_dependencies AS d
                JOIN pgtrickle.change_buffer_sizes() AS b ON b.source::regclass = d.source_relid
                WHERE d.pgt_id = t.pgt_id AND b.pending_rows > 0) AS pending
        ) AS p
        CROSS JOIN LATERAL (
            SELECT count(*) AS consecutive_errors FROM pgtrickle.pgt_refresh_history AS h
            WHERE h.pgt_id = t.pgt_id AND h.status = 'FAILED'
              AND NOT EXISTS (SELECT FROM pgtrickle.pgt_refresh_history AS later
                              WHERE later.pgt_id = h.pgt_id AND later.history_id > h.history_id
                                AND later.status = 'COMPLETED')
        ) AS e",
};

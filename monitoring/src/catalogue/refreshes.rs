//! What refreshes did, how long they took, and what went wrong.

use super::{DATNAME, TABLE, counter};
use crate::metric::{Group, Label};

pub const GROUPS: &[Group] = &[COUNTS, ERRORS, ROWS, DURATION, DURATION_BUCKETS];

const COUNTS: Group = Group {
    prefix: "pg_trickle_refresh",
    labels: &[
        DATNAME,
        TABLE,
        Label {
            name: "action",
            help: "`INITIALIZE`, `DIFFERENTIAL`, `FULL`, …",
        },
        Label {
            name: "reason",
            help: "why everything was computed again; empty for incremental refreshes",
        },
    ],
    metrics: &[counter(
        "completed_total",
        "refreshes",
        "Refreshes that did something",
    )],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, t.pgt_relid::text AS stream_table, h.action,
               coalesce(h.reason, '') AS reason, sum(h.refreshes) AS completed_total
        FROM pgtrickle.pgt_stream_tables AS t
        JOIN pgtrickle.pgt_refresh_figures AS h ON h.pgt_id = t.pgt_id AND h.status = 'COMPLETED'
        GROUP BY t.pgt_relid, h.action, h.reason",
};

const ERRORS: Group = Group {
    prefix: "pg_trickle_refresh_errors",
    labels: &[
        DATNAME,
        TABLE,
        Label {
            name: "sqlstate_class",
            help: "the first two characters of the SQLSTATE",
        },
    ],
    metrics: &[counter("total", "refreshes", "Refreshes that failed")],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, t.pgt_relid::text AS stream_table,
               h.error_class AS sqlstate_class, sum(h.refreshes) AS total
        FROM pgtrickle.pgt_stream_tables AS t
        JOIN pgtrickle.pgt_refresh_figures AS h ON h.pgt_id = t.pgt_id AND h.status = 'FAILED'
        GROUP BY t.pgt_relid, h.error_class",
};

const ROWS: Group = Group {
    prefix: "pg_trickle_refresh_rows",
    labels: &[
        DATNAME,
        TABLE,
        Label {
            name: "kind",
            help: "`inserted`, `updated`, `deleted`: rows of the stream table; `delta`: changes read, or estimated where a recomputation took less than reading them",
        },
    ],
    metrics: &[counter(
        "total",
        "rows",
        "Rows that refreshes have read or written",
    )],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, t.pgt_relid::text AS stream_table, k.kind,
               coalesce(sum(k.number), 0) AS total
        FROM pgtrickle.pgt_stream_tables AS t
        LEFT JOIN pgtrickle.pgt_refresh_figures AS h ON h.pgt_id = t.pgt_id
        CROSS JOIN LATERAL (
            VALUES ('inserted', h.rows_inserted), ('updated', h.rows_updated),
                   ('deleted', h.rows_deleted), ('delta', h.delta_rows)
        ) AS k (kind, number)
        GROUP BY t.pgt_relid, k.kind",
};

const DURATION: Group = Group {
    prefix: "pg_trickle_refresh_duration",
    labels: &[DATNAME, TABLE],
    metrics: &[
        counter("seconds_sum", "seconds", "Time spent in refreshes"),
        counter("seconds_count", "refreshes", "Refreshes that were timed"),
    ],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, t.pgt_relid::text AS stream_table,
               coalesce(sum(h.duration_ms), 0) / 1000 AS seconds_sum,
               coalesce(sum(h.refreshes), 0) AS seconds_count
        FROM pgtrickle.pgt_stream_tables AS t
        LEFT JOIN pgtrickle.pgt_refresh_figures AS h ON h.pgt_id = t.pgt_id
        GROUP BY t.pgt_relid",
};

const DURATION_BUCKETS: Group = Group {
    prefix: "pg_trickle_refresh_duration_seconds",
    labels: &[
        DATNAME,
        TABLE,
        Label {
            name: "le",
            help: "upper bound in seconds",
        },
    ],
    metrics: &[counter(
        "bucket",
        "refreshes",
        "Refreshes that took at most this long, for histogram_quantile",
    )],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, t.pgt_relid::text AS stream_table, b.le,
               coalesce(sum(h.refreshes) FILTER (WHERE h.bound_ms <= b.bound_ms), 0) AS bucket
        FROM pgtrickle.pgt_stream_tables AS t
        LEFT JOIN pgtrickle.pgt_refresh_figures AS h ON h.pgt_id = t.pgt_id
        CROSS JOIN (
            VALUES ('0.001', 1::float8), ('0.003', 3), ('0.01', 10), ('0.03', 30), ('0.1', 100), ('0.3', 300),
                   ('1', 1000), ('3', 3000), ('10', 10000), ('30', 30000), ('100', 100000), ('+Inf', 'Infinity')
        ) AS b (le, bound_ms)
        GROUP BY t.pgt_relid, b.le",
};

//! Change buffers, and what does not get there.

use super::{DATNAME, gauge};
use crate::metric::{Group, Label};

pub const GROUPS: &[Group] = &[BUFFERS, SOURCES];

const BUFFERS: Group = Group {
    prefix: "pg_trickle_change_buffer",
    labels: &[
        DATNAME,
        Label {
            name: "source",
            help: "the table whose changes it holds",
        },
    ],
    metrics: &[
        gauge("bytes", "bytes", "Size of the change buffer on disk"),
        gauge("rows", "rows", "Change rows that it holds"),
        gauge(
            "pending_rows",
            "rows",
            "Change rows that a stream table has not consumed",
        ),
    ],
    cache_s: 60,
    sql: "
        SELECT current_database()::text AS datname, source, bytes, rows, pending_rows
        FROM pgtrickle.change_buffer_sizes()",
};

const SOURCES: Group = Group {
    prefix: "pg_trickle_source",
    labels: &[
        DATNAME,
        Label {
            name: "source",
            help: "a table that stream tables read",
        },
    ],
    metrics: &[gauge(
        "unseen_rows",
        "rows",
        "Rows of the last hour that bypassed the triggers; the readers of the table were recomputed",
    )],
    cache_s: 60,
    sql: "
        SELECT current_database()::text AS datname, s.source, coalesce(sum(greatest(u.rows, 1)), 0) AS unseen_rows
        FROM pgtrickle.list_sources() AS s
        LEFT JOIN pgtrickle.pgt_unseen_writes AS u
               ON u.source_relid::text = s.source AND u.written_at > clock_timestamp() - interval '1 hour'
        WHERE s.captured
        GROUP BY s.source",
};

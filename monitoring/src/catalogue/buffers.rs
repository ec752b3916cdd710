//! Change buffers.

use super::{DATNAME, gauge};
use crate::metric::{Group, Label};

pub const GROUPS: &[Group] = &[BUFFERS];

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

//! The extension as a whole, and what holds it back.

use super::{DATNAME, counter, gauge};
use crate::metric::{Group, Label};

pub const GROUPS: &[Group] = &[INFO, HOLDERS];

const INFO: Group = Group {
    prefix: "pg_trickle_extension",
    labels: &[
        DATNAME,
        Label {
            name: "version",
            help: "the version of the library",
        },
    ],
    metrics: &[
        gauge("info", "1", "Always 1; the version is its label"),
        gauge("stream_tables", "tables", "Stream tables in the database"),
        counter(
            "refreshes_total",
            "refreshes",
            "Refreshes that did something, of all stream tables",
        ),
    ],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, pgtrickle.version() AS version, 1 AS info,
               (SELECT count(*) FROM pgtrickle.pgt_stream_tables) AS stream_tables,
               (SELECT coalesce(sum(refreshes), 0) FROM pgtrickle.pgt_refresh_figures) AS refreshes_total",
};

const HOLDERS: Group = Group {
    prefix: "pg_trickle_holder",
    labels: &[
        DATNAME,
        Label {
            name: "holder",
            help: "`backend`, `prepared` or `slot`",
        },
    ],
    metrics: &[
        gauge(
            "age_seconds",
            "seconds",
            "Age of the oldest transaction of this kind; change buffers keep all changes since it began",
        ),
        gauge(
            "xid_age",
            "transactions",
            "Age of the oldest transaction of this kind, in transactions",
        ),
    ],
    cache_s: 15,
    sql: "
        SELECT current_database()::text AS datname, h.holder,
               coalesce(max(h.age_seconds), 0) AS age_seconds, coalesce(max(h.xid_age), 0) AS xid_age
        FROM (
            SELECT 'backend' AS holder, extract(epoch FROM clock_timestamp() - xact_start) AS age_seconds,
                   age(coalesce(backend_xmin, backend_xid)) AS xid_age
            FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
            UNION ALL
            SELECT 'prepared', extract(epoch FROM clock_timestamp() - prepared), age(transaction)
            FROM pg_prepared_xacts WHERE database = current_database()
            UNION ALL
            SELECT 'slot', NULL::numeric, age(xmin) FROM pg_replication_slots WHERE xmin IS NOT NULL
            UNION ALL
            VALUES ('backend', NULL::numeric, NULL::integer), ('prepared', NULL, NULL), ('slot', NULL, NULL)
        ) AS h
        GROUP BY h.holder",
};

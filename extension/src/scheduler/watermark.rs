//! The position of the cluster, and what prevents the removal of change rows: the oldest transaction that
//! a reader may still need to see. For reports only.

use pgrx::Spi;
use pgrx::datum::TimestampWithTimeZone;

use crate::error::{Error, Result};

/// The state of the cluster at one moment.
#[derive(Debug, Clone, Default)]
pub struct Watermark {
    /// WAL position, in bytes.
    pub wal_bytes: i64,
    /// The oldest transaction that is held, if any is.
    pub oldest_xid: Option<i64>,
    /// Who holds it: `session 123 (app)`, `prepared transaction "x"`, `replication slot "y"`.
    pub oldest_holder: Option<String>,
    /// Since when.
    pub oldest_since: Option<TimestampWithTimeZone>,
    /// How many transactions are prepared.
    pub prepared: i64,
}

const SQL: &str = "
WITH holders (age, holder, since) AS (
    SELECT GREATEST(pg_catalog.age(a.backend_xid), pg_catalog.age(a.backend_xmin)),
           pg_catalog.format('session %s (%s)', a.pid,
               COALESCE(NULLIF(a.application_name, ''), a.backend_type)), a.xact_start
    FROM pg_catalog.pg_stat_activity a
    WHERE a.pid <> pg_catalog.pg_backend_pid()
      AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL)
    UNION ALL
    SELECT pg_catalog.age(p.transaction), pg_catalog.format('prepared transaction %I', p.gid), p.prepared
    FROM pg_catalog.pg_prepared_xacts p
    UNION ALL
    SELECT pg_catalog.age(s.xmin), pg_catalog.format('replication slot %I', s.slot_name), NULL
    FROM pg_catalog.pg_replication_slots s WHERE s.xmin IS NOT NULL
), oldest AS (
    SELECT * FROM holders ORDER BY age DESC LIMIT 1
)
SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 0
            ELSE (pg_catalog.pg_current_wal_lsn() - '0/0'::pg_catalog.pg_lsn)::pg_catalog.int8 END,
       pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text::pg_catalog.int8,
       (SELECT holder FROM oldest), (SELECT since FROM oldest),
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts)";

/// Reads it, in one statement. Sessions are named to those who may see them only.
pub fn watermark() -> Result<Watermark> {
    Spi::connect(|client| {
        let table = client.select(SQL, None, &[])?.first();
        Ok::<_, pgrx::spi::Error>(Watermark {
            wal_bytes: table.get(1)?.unwrap_or(0),
            oldest_xid: table.get(2)?,
            oldest_holder: table.get(3)?,
            oldest_since: table.get(4)?,
            prepared: table.get(5)?.unwrap_or(0),
        })
    })
    .map_err(|error| Error::Internal(error.to_string()))
}

#!/usr/bin/env bash
# PostgreSQL 19rc1 (Debian experimental): after REPACK (CONCURRENTLY), a transaction whose snapshot is older sees the table
# empty: no row, no error, no notice. REPACK without the option, like CLUSTER and VACUUM FULL, shows such a transaction all
# rows. A report or a dump in REPEATABLE READ that comes to a table late can therefore miss all of it, silently, if the
# table was repacked in between. A transaction that has read the table before is safe: REPACK waits for it.
# Seen 2026-11-30: 50 rows, 50 after REPACK, 0 after REPACK (CONCURRENTLY), and 50 again for a new snapshot.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start "sid experimental" postgresql-19=19~rc1-1 postgresql-client-19=19~rc1-1 -- "wal_level = logical"
# The rows of a table for a transaction that begins before the command and reads the table after it.
rows_after() {
    sql postgres <<SQL
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT FROM pg_class LIMIT 0;
\! PGOPTIONS='-c statement_timeout=60s' "$bin/psql" -X -q -h "$work/server" -U postgres -d postgres -c "$1"
SELECT 'older snapshot, after $1: ' || count(*) FROM t;
COMMIT;
SELECT 'new snapshot: ' || count(*) FROM t;
SQL
}
sql postgres <<'SQL'
CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t SELECT i, i FROM generate_series(1, 50) i;
SQL
seen 'older snapshot, after REPACK t: 50
new snapshot: 50
older snapshot, after REPACK (CONCURRENTLY) t: 0
new snapshot: 50' "$(rows_after 'REPACK t')
$(rows_after 'REPACK (CONCURRENTLY) t')"

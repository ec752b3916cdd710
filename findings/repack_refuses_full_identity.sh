#!/usr/bin/env bash
# PostgreSQL 19rc1 (Debian experimental): REPACK (CONCURRENTLY) refuses a table with REPLICA IDENTITY FULL, also if it has a
# primary key, with which the same table is repacked under the default identity. Tables without a key that are replicated
# have that identity, so none of them can be repacked while in use; REPACK without the option does, under its full lock.
# Seen 2026-11-30: SQLSTATE 55000.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start "sid experimental" postgresql-19=19~rc1-1 postgresql-client-19=19~rc1-1 -- "wal_level = logical"
sql postgres <<'SQL'
CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t SELECT i, i FROM generate_series(1, 50) i;
ALTER TABLE t REPLICA IDENTITY FULL;
SQL
attempt() {
    sql postgres <<<"\\set QUIET off
SET statement_timeout = '60s';
$1" | grep -v '^SET' || true
}
seen 'ERROR:  cannot execute REPACK (CONCURRENTLY) on relation "t"
DETAIL:  This operation does not support tables with REPLICA IDENTITY FULL.
REPACK
ALTER TABLE
REPACK' "$(attempt 'REPACK (CONCURRENTLY) t')
$(attempt 'REPACK t')
$(attempt 'ALTER TABLE t REPLICA IDENTITY DEFAULT')
$(attempt 'REPACK (CONCURRENTLY) t')"

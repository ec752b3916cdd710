#!/usr/bin/env bash
# PostgreSQL 18.6: a NOT NULL constraint may be NOT VALID since 18, and rows with NULL stay. information_schema.columns then
# says is_nullable NO, and pg_attribute.attnotnull is true, as if there were none: whatever derives keys, join kinds or typed
# models from either is wrong for the old rows. Only pg_constraint.convalidated tells, which the planner asks.
# Seen 2026-11-30: "NO", one row with NULL.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'is_nullable NO, attnotnull true, convalidated false, rows with NULL 1' "$(sql postgres <<'SQL'
CREATE TABLE t (v int);
INSERT INTO t VALUES (NULL);
ALTER TABLE t ADD CONSTRAINT present NOT NULL v NOT VALID;
SELECT format('is_nullable %s, attnotnull %s, convalidated %s, rows with NULL %s',
    (SELECT is_nullable FROM information_schema.columns WHERE table_name = 't'),
    (SELECT attnotnull::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'v'),
    (SELECT convalidated::text FROM pg_constraint WHERE conname = 'present'),
    (SELECT count(*) FROM t WHERE v IS NULL));
SQL
)"

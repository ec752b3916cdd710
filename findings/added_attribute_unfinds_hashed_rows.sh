#!/usr/bin/env bash
# PostgreSQL 18.6: ALTER TYPE … ADD ATTRIBUTE leaves hash indexes over the composite type as they are, though the hash of a
# row counts its attributes. A stored row equals the same row with NULL for the new attribute, a sequential scan finds it,
# and the index no longer does; REINDEX brings it back. A B-tree index over the column goes on to find it. What finds rows
# by the hash of a record has to be built again after the command.
# Seen 2026-12-01: equal, found by scan 1, by the hash index 0, after REINDEX 1, by a B-tree 1.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'by scan: 1
by the hash index: 0
after REINDEX: 1
by the B-tree: 1' "$(sql postgres <<'SQL'
CREATE TYPE c AS (x int, y text);
CREATE TABLE t (c c);
INSERT INTO t SELECT (i, 'y')::c FROM generate_series(1, 5) i;
CREATE INDEX hashed ON t USING hash (c);
ALTER TYPE c ADD ATTRIBUTE z int;
SELECT 'by scan: ' || count(*) FROM t WHERE c = (2, 'y', NULL)::c;
SET enable_seqscan = off;
SELECT 'by the hash index: ' || count(*) FROM t WHERE c = (2, 'y', NULL)::c;
REINDEX INDEX hashed;
SELECT 'after REINDEX: ' || count(*) FROM t WHERE c = (2, 'y', NULL)::c;
DROP INDEX hashed;
CREATE INDEX ordered ON t (c);
SELECT 'by the B-tree: ' || count(*) FROM t WHERE c = (2, 'y', NULL)::c;
SQL
)"

#!/usr/bin/env bash
# PostgreSQL 18.6: JSON_VALUE(… RETURNING jsonb) keeps the NULL of an earlier row: after the first row whose path finds
# nothing, later rows are NULL too, though their path finds something. RETURNING text, the default, and JSON_QUERY are
# right. The answer for a row depends on the rows before it, so no incremental rule can follow it.
# Seen 2026-11-29: 1, NULL, NULL instead of 1, NULL, 3.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'jsonb: 1,NULL,NULL
text: 1,NULL,3
query: 1,NULL,3' "$(sql postgres <<'SQL'
CREATE TABLE t (id int, j jsonb);
INSERT INTO t VALUES (1, '{"a": 1}'), (2, '{}'), (3, '{"a": 3}');
SELECT 'jsonb: ' || string_agg(coalesce(x::text, 'NULL'), ',') FROM (SELECT JSON_VALUE(j, '$.a' RETURNING jsonb) x FROM t ORDER BY id) q;
SELECT 'text: ' || string_agg(coalesce(x::text, 'NULL'), ',') FROM (SELECT JSON_VALUE(j, '$.a') x FROM t ORDER BY id) q;
SELECT 'query: ' || string_agg(coalesce(x::text, 'NULL'), ',') FROM (SELECT JSON_QUERY(j, '$.a') x FROM t ORDER BY id) q;
SQL
)"

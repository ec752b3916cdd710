#!/usr/bin/env bash
# PostgreSQL 18.6: a NULL inside an array constant is printed as the bare word NULL, and read back by array_nulls. With
# array_nulls off the printed text of a view is accepted for text[] and means something else: the string 'NULL'.
# No error, no notice; for int[] the same text fails with 22P02. A definition kept as text needs that setting beside it.
# Seen 2026-11-29: the view has one NULL element; the view made from its own printed text has none.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'original: 1 NULL, copy: 0 NULLs, one element is the string NULL: t' "$(sql postgres <<'SQL'
CREATE VIEW original AS SELECT '{a,NULL}'::text[] AS x;
SET array_nulls = off;
DO $$ BEGIN EXECUTE 'CREATE VIEW copy AS ' || pg_get_viewdef('original'); END $$;
SELECT format('original: %s NULL, copy: %s NULLs, one element is the string NULL: %s',
    (SELECT count(*) FROM original, unnest(x) e WHERE e IS NULL),
    (SELECT count(*) FROM copy, unnest(x) e WHERE e IS NULL),
    (SELECT 'NULL' = ANY (x) FROM copy));
SQL
)"

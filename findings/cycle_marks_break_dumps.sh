#!/usr/bin/env bash
# PostgreSQL 18.6: a view over CYCLE … SET mark TO 'Y' DEFAULT 'N' works, and its dump cannot be restored: the server prints
# the marks as 'Y'::text, and its grammar takes no cast there. Marks true and false, or 1 and 0, are printed bare.
# Seen 2026-12-01: "syntax error at or near "::"" for the view of texts, none for that of numbers.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'numbers
ERROR:  syntax error at or near "::"' "$(sql postgres <<'SQL' 2>&1 | grep -o 'ERROR: .*\|^numbers$'
CREATE TABLE edge (a int, b int);
CREATE VIEW texts AS WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT b FROM edge JOIN g ON g.n = a)
    CYCLE n SET looped TO 'Y' DEFAULT 'N' USING path SELECT n, looped FROM g;
CREATE VIEW numbers AS WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT b FROM edge JOIN g ON g.n = a)
    CYCLE n SET looped TO 1 DEFAULT 0 USING path SELECT n, looped FROM g;
SELECT format('CREATE VIEW restored_%s AS %s', v, pg_get_viewdef(v::regclass)) AS "text" FROM unnest('{numbers}'::text[]) v \gset
:text
SELECT substr(relname, 10) FROM pg_class WHERE relname LIKE 'restored\_%';
SELECT format('CREATE VIEW restored_%s AS %s', v, pg_get_viewdef(v::regclass)) AS "text" FROM unnest('{texts}'::text[]) v \gset
:text
SQL
)"

#!/usr/bin/env bash
# deltaflow-pg 0.1.1 on PostgreSQL 18.6: text is compared by its bytes, whatever its type. A condition on a char(5) column finds
# no row, since the stored value has its blanks; on a citext column it finds only the written case, and count(DISTINCT)
# counts the cases apart. The server checks the view's statement and accepts it, and nothing warns: each maintained
# table is another than its query from the start.
# Seen 2026-12-01: 0 rows of 2 by char(5), 1 of 2 by citext, 2 distinct values instead of 1.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
source "$(dirname "$0")/lib/deltaflow.sh"
server_start 18.6.3 "wal_level = logical"
python_since 3.12
python_with deltaflow-pg==0.1.1 pglast==8.8 'psycopg[binary]==3.3.9' rocksdict==0.3.29
sql postgres <<'SQL'
CREATE EXTENSION citext;
CREATE TABLE t (id int PRIMARY KEY, padded char(5), folded citext);
INSERT INTO t VALUES (1, 'a', 'x'), (2, 'a', 'X');
SQL
deltaflow_start "CREATE VIEW live.padded AS SELECT id FROM public.t WHERE padded = 'a';
CREATE VIEW live.folded AS SELECT id FROM public.t WHERE folded = 'x';
CREATE VIEW live.different AS SELECT count(DISTINCT folded) AS n FROM public.t;"
deltaflow_caught_up different
seen 'char(5): query 2 rows, kept 0
citext: query 2 rows, kept 1
distinct citext: query 1, kept 2' "$(sql postgres <<'SQL'
SELECT format('char(5): query %s rows, kept %s', (SELECT count(*) FROM t WHERE padded = 'a'), (SELECT count(*) FROM live.padded));
SELECT format('citext: query %s rows, kept %s', (SELECT count(*) FROM t WHERE folded = 'x'), (SELECT count(*) FROM live.folded));
SELECT format('distinct citext: query %s, kept %s', (SELECT count(DISTINCT folded) FROM t), (SELECT n FROM live.different));
SQL
)"

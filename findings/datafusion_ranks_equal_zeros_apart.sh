#!/usr/bin/env bash
# datafusion 55.0.0: GROUP BY, joins and comparisons take 0.0 and -0.0 as equal, as SQL and PostgreSQL do; ORDER BY takes -0.0 as
# smaller. So two rows of one group are not peers: rank() and running sums tell them apart, ORDER BY f, id puts the later id
# first, and LIMIT keeps another row. A copy of a top list or of a rank from PostgreSQL 18.6 is another one there.
# Seen 2026-12-01: one group of 2; ranks 2 and 1 instead of 1 and 1, id 2 first instead of 1, running sums 30 and 20 instead
# of 30 and 30.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with datafusion==55.0.0 pyarrow==26.0.1 'psycopg[binary]==3.3.9'
seen 'groups: datafusion [2], PostgreSQL [2]
joined: datafusion [4], PostgreSQL [4]
less than zero: datafusion [0], PostgreSQL [0]
first of ORDER BY f, id: datafusion [2], PostgreSQL [1]
ranks by id: datafusion [2, 1], PostgreSQL [1, 1]
running sums by id: datafusion [30, 20], PostgreSQL [30, 30]' "$(host=$work/server python <<'PY'
import os
import datafusion, psycopg, pyarrow

session = datafusion.SessionContext()
session.from_arrow(pyarrow.table({"id": [1, 2], "f": [0.0, -0.0], "n": [10, 20]}), "t")
server = psycopg.connect(f"host={os.environ['host']} user=postgres dbname=postgres")
server.execute("CREATE TEMP TABLE t AS SELECT * FROM (VALUES (1, '0'::float8, 10), (2, '-0', 20)) v (id, f, n)")
for name, query in [
    ("groups", "SELECT count(*) AS x FROM t GROUP BY f"),
    ("joined", "SELECT count(*) AS x FROM t a JOIN t b ON a.f = b.f"),
    ("less than zero", "SELECT count(*) AS x FROM t WHERE f < 0"),
    ("first of ORDER BY f, id", "SELECT id AS x FROM t ORDER BY f, id LIMIT 1"),
    ("ranks by id", "SELECT rank() OVER (ORDER BY f) AS x FROM t ORDER BY id"),
    ("running sums by id", "SELECT sum(n) OVER (ORDER BY f) AS x FROM t ORDER BY id"),
]:
    here = [row["x"] for row in session.sql(query).to_pylist()]
    there = [row[0] for row in server.execute(query)]
    print(f"{name}: datafusion {here}, PostgreSQL {there}")
PY
)"

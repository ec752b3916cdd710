#!/usr/bin/env bash
# duckdb 1.5.5 with its extension postgres_scanner 1.5.5 on PostgreSQL 18.6: NaN, Infinity and -Infinity of a numeric column are
# read as 0, with a declared scale and without; float8 keeps them. There is no error, so sums and averages over the copy are
# wrong. A filter is sent to the server, which sees the real value: the row that reads 0 is found by `> 1`.
# Seen 2026-11-30: 0.00 and 0.0 for each, found by > 1: NaN 0.00 and Infinity 0.0.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with duckdb==1.5.5 duckdb-extensions==1.5.5 duckdb-extension-postgres-scanner==1.5.5
sql postgres <<'SQL'
CREATE TABLE t (v text, scaled numeric(10,2), plain numeric, float float8);
INSERT INTO t VALUES ('NaN', 'NaN', 'NaN', 'NaN'), ('Infinity', 5, 'Infinity', 'Infinity'), ('-Infinity', 5, '-Infinity', '-Infinity');
SQL
seen 'NaN 0.00 0.0 nan
Infinity 5.00 0.0 inf
-Infinity 5.00 0.0 -inf
scaled > 5: NaN 0.00
plain > 1: NaN 0.0, Infinity 0.0' "$(HOME=$work host=$work/server python <<'PY'
import os
import duckdb
from duckdb_extensions import import_extension

import_extension("postgres_scanner")
session = duckdb.connect()
session.execute("LOAD postgres_scanner")
session.execute(f"ATTACH 'host={os.environ['host']} user=postgres dbname=postgres' AS p (TYPE postgres)")
for row in session.execute("SELECT v, scaled, plain, float FROM p.t").fetchall():
    print(*row)
for column, least in [("scaled", 5), ("plain", 1)]:
    rows = session.execute(f"SELECT v, {column} FROM p.t WHERE {column} > {least}").fetchall()
    print(f"{column} > {least}:", ", ".join(f"{v} {n}" for v, n in rows))
PY
)"

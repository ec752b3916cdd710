#!/usr/bin/env bash
# adbc-driver-postgresql 1.13.0 on PostgreSQL 18.6: the date 'infinity' arrives in Arrow as a day millions of years ago. The
# driver adds the distance between the epochs to the server's largest integer, which wraps around. There is no error: in
# polars, pandas or DuckDB over this table the row that never ends is the oldest.
# Seen 2026-11-30: infinity is the day before '-infinity'.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with adbc-driver-manager==1.13.0 adbc-driver-postgresql==1.13.0 pyarrow==26.0.1
seen "days since 1970: infinity -2147472692, -infinity -2147472691" "$(host=$work/server python <<'PY'
import os
import adbc_driver_postgresql.dbapi
import pyarrow

address = f"postgresql://postgres@/postgres?host={os.environ['host']}"
with adbc_driver_postgresql.dbapi.connect(address) as connection, connection.cursor() as cursor:
    cursor.execute("SELECT DATE 'infinity' AS d UNION ALL SELECT DATE '-infinity'")
    days = cursor.fetch_arrow_table().column("d").cast(pyarrow.int32()).to_pylist()
print("days since 1970: infinity {}, -infinity {}".format(*days))
PY
)"

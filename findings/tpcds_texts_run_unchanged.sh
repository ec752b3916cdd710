#!/usr/bin/env bash
# duckdb 0.8.1 (the wheel on PyPI) has the 99 texts of TPC-DS in its table function tpcds_queries(), and the schema in
# dsdgen(), with nothing to download beside it. Meant for another system, all 99 run on PostgreSQL 18.6 as they are, over
# tables with the columns and types that duckdb names: no date, interval, alias or function has to be rewritten.
# Seen 2026-11-30: 24 tables; 99 of 99 texts return a result over empty tables.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with duckdb==0.8.1
"$work/python/bin/python" - "$work/texts" <<'PYTHON'
import sys
from pathlib import Path

import duckdb

folder = Path(sys.argv[1])
folder.mkdir()
base = duckdb.connect()
base.execute("CALL dsdgen(sf=0)")
with open(folder / "tables.sql", "w") as tables:
    for (table,) in base.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall():
        columns = base.execute(
            "SELECT column_name || ' ' || data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [table]
        ).fetchall()
        tables.write(f"CREATE TABLE {table} ({', '.join(column for (column,) in columns)});\n")
for number, text in base.execute("SELECT query_nr, query FROM tpcds_queries()").fetchall():
    (folder / f"{number}.text").write_text(text)
PYTHON
sql postgres <"$work/texts/tables.sql"
ran=0
failed=
for text in "$work"/texts/*.text; do
    if sql postgres <"$text" >/dev/null; then
        ran=$((ran + 1))
    else
        failed+=" $(basename "$text" .text)"
    fi
done
seen '24 tables, 99 texts ran, failed:' "$(grep -c TABLE "$work/texts/tables.sql") tables, $ran texts ran, failed:$failed"

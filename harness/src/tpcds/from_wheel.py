"""Writes the rows, tables and queries of TPC-DS that the wheel of duckdb carries.

Usage: from_wheel.py SCALE FOLDER. FOLDER gets tables.sql, TABLE.csv for each table, and NUMBER.sql for each query.
"""

import sys
from pathlib import Path

import duckdb

scale, folder = float(sys.argv[1]), Path(sys.argv[2])
base = duckdb.connect()
base.execute(f"CALL dsdgen(sf={scale})")

tables = []
for (table,) in base.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall():
    columns = base.execute(
        "SELECT column_name, lower(data_type) FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
        [table],
    ).fetchall()
    listed = ", ".join(f"{name} {kind}" for name, kind in columns)
    tables.append(f"CREATE TABLE {table} ({listed});\n")
    base.execute(f"COPY {table} TO '{folder / table}.csv' (FORMAT csv, HEADER false)")
(folder / "tables.sql").write_text("".join(tables))

for number, text in base.execute("SELECT query_nr, query FROM tpcds_queries()").fetchall():
    (folder / f"{number}.sql").write_text(text)

#!/usr/bin/env bash
# A Parquet file's least and greatest value leave out NaN, as the format says, and two readers take them as bounds of all rows.
# duckdb 2.0.1 over a file of pyarrow 26.0.1 finds no row by isnan(f), f <> 1 or f > 10, where the file has 1 and NaN; over the
# same rows in memory, or in a file of its own, it finds the NaN. pyarrow finds it in memory and not when it reads the file with
# the filter. polars 2.1.0 finds it in the file. What a job deletes, checks or copies by such a filter depends on the file's writer.
# Seen 2026-11-30: the answers beside `seen`; "no" is a row lost.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_folder
python_with pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0
seen 'duckdb, in memory: isnan yes, <> 1 yes, > 10 yes
duckdb, file of duckdb: isnan yes, <> 1 yes, > 10 yes
duckdb, file of pyarrow: isnan no, <> 1 no, > 10 no
pyarrow, in memory: isnan yes, <> 1 yes
pyarrow, file of pyarrow: isnan no, <> 1 no
polars, file of pyarrow: isnan yes, <> 1 yes, > 10 yes' "$(folder=$work python <<'PY'
import os
import duckdb
import polars
import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet as parquet

rows = pyarrow.table({"id": [1, 2], "f": [1.0, float("nan")]})
of_pyarrow, of_duckdb = (f"{os.environ['folder']}/{name}.parquet" for name in ("pyarrow", "duckdb"))
parquet.write_table(rows, of_pyarrow)
duckdb.sql(f"COPY (FROM rows) TO '{of_duckdb}'")


def show(name, answers):
    print(f"{name}:", ", ".join(f"{filter} {'yes' if 2 in ids else 'no'}" for filter, ids in answers.items()))


conditions = {"isnan": "isnan(f)", "<> 1": "f <> 1", "> 10": "f > 10"}
for name, source in [("in memory", "rows"), ("file of duckdb", f"'{of_duckdb}'"), ("file of pyarrow", f"'{of_pyarrow}'")]:
    show(f"duckdb, {name}", {
        filter: [id for (id,) in duckdb.sql(f"SELECT id FROM {source} WHERE {condition}").fetchall()]
        for filter, condition in conditions.items()
    })
f = compute.field("f")
filters = {"isnan": compute.is_nan(f), "<> 1": f != 1}
show("pyarrow, in memory", {name: rows.filter(filter)["id"].to_pylist() for name, filter in filters.items()})
show("pyarrow, file of pyarrow", {
    name: parquet.read_table(of_pyarrow, filters=filter)["id"].to_pylist() for name, filter in filters.items()
})
f = polars.col("f")
show("polars, file of pyarrow", {
    name: polars.scan_parquet(of_pyarrow).filter(filter).collect()["id"].to_list()
    for name, filter in {"isnan": f.is_nan(), "<> 1": f != 1, "> 10": f > 10}.items()
})
PY
)"

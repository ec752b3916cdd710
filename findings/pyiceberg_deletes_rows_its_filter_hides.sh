#!/usr/bin/env bash
# PyIceberg 0.12.0: delete() with `!=` or `not in` decides about NULL by the file. Where NULL shares a file with a value that stays, the
# row stays; where every row of its file is NULL or is to go, the file is dropped and the row with it. scan() with the same
# filter shows no NULL, so that it does not tell what delete() takes, and compaction before the delete changes what is left.
# Seen 2026-11-30: rows 1 and 2 are left of one file, row 1 of two files with the same rows; scan shows row 3 in both.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_folder
python_with "pyiceberg[sql-sqlite]==0.12.0" pyarrow==26.0.1
seen 'one file: scan shows 3, delete leaves 1, 2
two files: scan shows 3, delete leaves 1' "$(folder=$work python <<'PY' | grep 'scan shows'
import os
import pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import NotEqualTo

folder = os.environ["folder"]
catalog = SqlCatalog("local", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/tables")
catalog.create_namespace("n")
schema = pyarrow.schema([("id", pyarrow.int64()), ("v", pyarrow.int64())])


def ids(scan):
    return ", ".join(map(str, sorted(scan.to_arrow()["id"].to_pylist())))


for name, files in {"one file": [[(1, 1), (2, None), (3, 5)]], "two files": [[(1, 1), (3, 5)], [(2, None)]]}.items():
    table = catalog.create_table("n." + name.replace(" ", "_"), schema)
    for rows in files:
        table.append(pyarrow.Table.from_pylist([{"id": id, "v": v} for id, v in rows], schema))
    other = NotEqualTo("v", 1)
    shown = ids(table.scan(row_filter=other))
    table.delete(other)
    print(f"{name}: scan shows {shown}, delete leaves {ids(table.scan())}")
PY
)"

#!/usr/bin/env bash
# deltalake 1.6.6: to its engine NaN is greater than every number, and the statistics that it writes for a file leave NaN out. So
# `f > 10` finds a NaN that is alone in its file, and passes over a file where NaN stands beside a small number; compaction
# changes the answer, also that of DELETE. MERGE on the same column finds the NaN in both.
# Seen 2026-11-30: of the same two rows, 0 deleted in one file, 1 in two files, 0 after compaction; MERGE matches 1 in each.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_folder
python_with deltalake==1.6.6 pyarrow==26.0.1
seen 'one file: delete 0, merge 1
two files: delete 1, merge 1
two files compacted: delete 0, merge 1' "$(folder=$work python <<'PY'
import os
import pyarrow
from deltalake import DeltaTable, write_deltalake

nan = float("nan")


def table(name, files, compacted):
    path = f"{os.environ['folder']}/{name}"
    for rows in files:
        write_deltalake(path, pyarrow.table({"id": list(rows), "f": list(rows.values())}), mode="append")
    table = DeltaTable(path)
    if compacted:
        table.optimize.compact()
    return table


for name, files, compacted in [
    ("one file", [{1: 1.0, 2: nan}], False),
    ("two files", [{1: 1.0}, {2: nan}], False),
    ("two files compacted", [{1: 1.0}, {2: nan}], True),
]:
    deleted = table(f"{name} delete", files, compacted).delete("f > 10")
    merged = table(f"{name} merge", files, compacted).merge(
        pyarrow.table({"f": [nan]}), "old.f = new.f", source_alias="new", target_alias="old"
    ).when_matched_delete().execute()
    print(f"{name}: delete {deleted['num_deleted_rows']}, merge {merged['num_target_rows_deleted']}")
PY
)"

#!/usr/bin/env bash
# pathway 0.33.0: a group's float sum that has become NaN cannot be taken back, since NaN does not equal itself when the change
# is applied. A value of Infinity that comes and goes leaves a stream of changes that does not add up: what was inserted with
# NaN is not found when it is to be deleted, and the result cannot be built. count() of the same rows is right.
# Seen 2026-11-30: KeyError "deleting non-existing entry [nan, 2]".
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_folder
python_with pathway==0.33.0
seen 'count 1
sum and count: deleting non-existing entry [nan, 2]' "$(python <<'PY' | grep -E '^(count|sum)'
import pathway as pw

rows = pw.debug.table_from_markdown("""
  | g | v   | __time__ | __diff__
1 | 1 | 5.0 | 2        | 1
2 | 1 | inf | 4        | 1
2 | 1 | inf | 6        | -1
""")
groups = rows.groupby(rows.g)
counts = pw.debug.table_to_pandas(groups.reduce(n=pw.reducers.count()), include_id=False)
print("count", counts["n"][0])
try:
    print("sum", pw.debug.table_to_pandas(groups.reduce(s=pw.reducers.sum(rows.v), n=pw.reducers.count())))
except KeyError as error:
    print("sum and count:", error.args[0])
PY
)"

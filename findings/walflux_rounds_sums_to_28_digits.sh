#!/usr/bin/env bash
# walflux 0.1.0 on PostgreSQL 18.6: it follows a table by logical replication and adds changes in Python's default decimal
# context, which rounds to 28 digits. numeric has up to 131072 before the point. What a transaction adds to a group is
# rounded, and so is a single value with more digits; the first fill of the same rows, which the server computes, is right. A small value
# beside a large one is lost, also after the large one is gone, in one transaction. There is no error.
# Seen 2026-12-01: 0.1234567890123456789012345679 of 34 decimals, and 0 where the sum is 1.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3 "wal_level = logical"
python_with walflux==0.1.0 psycopg2-binary==2.9.13 pyyaml==6.0.3
sql postgres <<'SQL'
CREATE TABLE t (id int PRIMARY KEY, g text, v numeric);
INSERT INTO t VALUES (1, 'first fill', 0.1234567890123456789012345678901234);
SQL
cat >"$work/walflux.yaml" <<YAML
database: {dsn: "host=$work/server user=postgres dbname=postgres"}
views: [{name: sums, source: public.t, group_by: [g], aggregates: [{fn: sum, column: v, as: s}]}]
YAML
walflux() { "$work/python/bin/walflux" "$1" -c "$work/walflux.yaml"; }
walflux setup >/dev/null 2>&1
walflux run >"$work/walflux.log" 2>&1 &
trap 'kill %1 || true; wait %1 || true; server_stop' EXIT
sql postgres <<'SQL'
INSERT INTO t VALUES (2, 'one value', 0.1234567890123456789012345678901234);
INSERT INTO t VALUES (3, 'large and small', 1e30), (4, 'large and small', 1), (5, 'large and small', -1e30);
INSERT INTO t VALUES (6, 'last', 0);
SQL
for _ in $(seq 300); do
    if [ "$(sql postgres <<<"SELECT count(*) FROM walflux.sums WHERE g = 'last'")" = 1 ]; then break; fi
    sleep 0.1
done
seen 'first fill: query 0.1234567890123456789012345678901234, kept 0.1234567890123456789012345678901234
large and small: query 1, kept 0
last: query 0, kept 0
one value: query 0.1234567890123456789012345678901234, kept 0.1234567890123456789012345679' "$(sql postgres <<'SQL'
SELECT format('%s: query %s, kept %s', g, q.s, k.s) FROM (SELECT g, sum(v) AS s FROM t GROUP BY g) q LEFT JOIN walflux.sums k USING (g) ORDER BY g;
SQL
)"

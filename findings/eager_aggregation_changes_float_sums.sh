#!/usr/bin/env bash
# PostgreSQL 19rc1 (Debian experimental): enable_eager_aggregate, on by default, sums below a join first, so that floats are
# added in another order: one query over the same rows has other last digits than with the setting off, as in 18. A comparison
# of two results by equality, as oracles and data diffs make it, needs the setting pinned on both sides, or numeric.
# Seen 2026-11-30: 8551417 with it, 8551416.999999994 without, and so in every group; numeric is equal.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start "sid experimental" postgresql-19=19~rc1-1 postgresql-client-19=19~rc1-1 --
seen 'group 0 with it 8551417, without 8551416.999999994
groups that differ: float8 3, numeric 0' "$(sql postgres <<'SQL'
SET max_parallel_workers_per_gather = 0;
CREATE TABLE f AS SELECT i % 100 AS k, (0.1 * (i % 7) + 1e-3 * i)::float8 AS v, 0.1 * (i % 7) + 1e-3 * i AS n
    FROM generate_series(1, 100000) i;
CREATE TABLE d AS SELECT k, k % 3 AS g FROM generate_series(0, 99) k, generate_series(1, 5);
ANALYZE;
CREATE TABLE early AS SELECT g, sum(v) AS v FROM f JOIN d USING (k) GROUP BY g;
CREATE TABLE early_n AS SELECT g, sum(n) AS n FROM f JOIN d USING (k) GROUP BY g;
SET enable_eager_aggregate = off;
CREATE TABLE late AS SELECT g, sum(v) AS v FROM f JOIN d USING (k) GROUP BY g;
CREATE TABLE late_n AS SELECT g, sum(n) AS n FROM f JOIN d USING (k) GROUP BY g;
SELECT format('group 0 with it %s, without %s', e.v, l.v) FROM early e JOIN late l USING (g) WHERE g = 0;
SELECT format('groups that differ: float8 %s, numeric %s', count(*) FILTER (WHERE e.v <> l.v), count(*) FILTER (WHERE en.n <> ln.n))
    FROM early e JOIN late l USING (g) JOIN early_n en USING (g) JOIN late_n ln USING (g);
SQL
)"

#!/usr/bin/env bash
# PostgreSQL 19rc1 (Debian experimental): WITH RECURSIVE … UNION allocates and zeroes its hash table for the estimated number of
# rows, before the first row and whatever work_mem says. Estimates of recursion are high (ten times the first term, and
# a third of that for each condition), above all for tables without statistics: two rows and generate_series() in the recursive term
# came to 453 million rows, 34 s and gigabytes for a result of 7 rows, where 18.6 takes 64 ms. EXPLAIN ANALYZE does not show it:
# it reports a storage of 33 kB.
# Seen 2026-11-30: 10 million estimated rows, 3 real ones, work_mem 4 MB: more than 200 MB, and none without the hash table
# (UNION ALL). On 18.6 such a table stops at 16 MB.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start "sid experimental" postgresql-19=19~rc1-1 postgresql-client-19=19~rc1-1 -- "work_mem = 4MB"
seen '5 rows by UNION ALL; over 200 MB: false
3 rows by UNION; over 200 MB: true' "$(sql postgres <<'SQL'
CREATE FUNCTION few() RETURNS SETOF int LANGUAGE plpgsql ROWS 300000 AS 'BEGIN RETURN NEXT 1; RETURN NEXT 2; END';
CREATE FUNCTION peak_mb() RETURNS int LANGUAGE sql AS
    $$ SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)')::int / 1024 $$;
WITH RECURSIVE r(n) AS (SELECT n FROM few() n UNION ALL SELECT n + 1 FROM r WHERE n < 3)
SELECT count(*) || ' rows by UNION ALL' AS said FROM r \gset
SELECT :'said' || '; over 200 MB: ' || (peak_mb() > 200);
WITH RECURSIVE r(n) AS (SELECT n FROM few() n UNION SELECT n + 1 FROM r WHERE n < 3)
SELECT count(*) || ' rows by UNION' AS said FROM r \gset
SELECT :'said' || '; over 200 MB: ' || (peak_mb() > 200);
SQL
)"

#!/usr/bin/env bash
# PostgreSQL 18.6: a MERGE on a partitioned table that inserts a row and then updates others shows the inserted row as the
# new version of each of them in the UPDATE trigger's transition table. The table itself is right, and so are the
# numbers of rows and what row triggers see. Whatever captures changes by transition tables (audit, incremental views)
# stores values that no row ever had. A table without partitions is shown right; so is a partitioned one if nothing is
# inserted before, and INSERT … ON CONFLICT DO UPDATE in any order.
# After a routed INSERT the server keeps the row (tcs_original_insert_tuple) until it routes or moves the next one.
# Seen 2026-11-30: MERGE on a plain table (1,5) (2,5); on a partitioned one (0,0) (0,0), ON CONFLICT (1,6) (2,6).
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'NOTICE:  plain UPDATE: {"(1,5)","(2,5)"}
NOTICE:  parted UPDATE: {"(0,0)","(0,0)"}
parted holds {"(0,0)","(1,5)","(2,5)"}
NOTICE:  parted UPDATE: {"(1,6)","(2,6)"}' "$(sql postgres <<'SQL' | sed 's/^psql:[^N]*//'
CREATE TABLE plain (k int PRIMARY KEY, v int);
CREATE TABLE parted (k int PRIMARY KEY, v int) PARTITION BY RANGE (k);
CREATE TABLE part PARTITION OF parted DEFAULT;
INSERT INTO plain VALUES (1, 1), (2, 2);
INSERT INTO parted VALUES (1, 1), (2, 2);
CREATE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE NOTICE '% UPDATE: %', TG_TABLE_NAME, (SELECT array_agg(n ORDER BY n) FROM new_rows n);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER u AFTER UPDATE ON plain REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION show();
CREATE TRIGGER u AFTER UPDATE ON parted REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION show();
MERGE INTO plain USING (VALUES (0), (1), (2)) s (k) ON plain.k = s.k
    WHEN MATCHED THEN UPDATE SET v = 5 WHEN NOT MATCHED THEN INSERT VALUES (s.k, 0);
MERGE INTO parted USING (VALUES (0), (1), (2)) s (k) ON parted.k = s.k
    WHEN MATCHED THEN UPDATE SET v = 5 WHEN NOT MATCHED THEN INSERT VALUES (s.k, 0);
SELECT 'parted holds ' || array_agg(p ORDER BY p)::text FROM parted p;
INSERT INTO parted VALUES (-1, 0), (1, 0), (2, 0) ON CONFLICT (k) DO UPDATE SET v = 6;
SQL
)"

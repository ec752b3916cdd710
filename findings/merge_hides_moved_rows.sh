#!/usr/bin/env bash
# PostgreSQL 18.6: an UPDATE that moves a row to another partition shows it in the statement trigger's transition tables.
# The same change by MERGE … WHEN MATCHED THEN UPDATE fires the UPDATE trigger with both tables empty, and no DELETE or
# INSERT trigger. A row that stays in its partition is shown by both. Whatever captures changes by transition
# tables (audit, incremental views) loses the moved rows without a word; only the table's statistics count them.
# Mended upstream in November 2026 ("Fix transition tables for MERGE with cross-partition UPDATEs", back to 15): a later
# minor release shows them as UPDATE does.
# Seen 2026-11-30: UPDATE 1 old, 1 new; MERGE 0 old, 0 new; MERGE within the partition 1 old, 1 new.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'NOTICE:  UPDATE: 1 old, 1 new
NOTICE:  UPDATE: 0 old, 0 new
NOTICE:  UPDATE: 1 old, 1 new' "$(sql postgres <<'SQL' | sed 's/^psql:[^N]*//'
CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE low PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE high PARTITION OF p FOR VALUES FROM (100) TO (200);
INSERT INTO p VALUES (1), (2), (3);
CREATE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE NOTICE '%: % old, % new', TG_OP, (SELECT count(*) FROM old_rows), (SELECT count(*) FROM new_rows);
    ELSE
        RAISE NOTICE '% fired', TG_OP;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER u AFTER UPDATE ON p REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION show();
CREATE TRIGGER i AFTER INSERT ON p REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION show();
CREATE TRIGGER d AFTER DELETE ON p REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION show();
UPDATE p SET id = 101 WHERE id = 1;
MERGE INTO p USING (VALUES (2)) s (x) ON p.id = s.x WHEN MATCHED THEN UPDATE SET id = 102;
MERGE INTO p USING (VALUES (3)) s (x) ON p.id = s.x WHEN MATCHED THEN UPDATE SET id = 4;
SQL
)"

#!/usr/bin/env bash
# PostgreSQL 18.6: a statement trigger on a partitioned table sees NULL in a STORED generated column (even one that is NOT
# NULL) for rows that an INSERT routes to a partition whose columns have another order, as after ATTACH or a dropped column.
# The transition table gets the root's row, from before the column is computed. Rows of partitions with the same layout are
# whole, and so is a transition table of DELETE.
# Seen 2026-12-01: inserted 1=2 and 2=NULL, deleted 1=2 and 2=4; the table has 2 and 4.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'table: 1=2,2=4
INSERT: 1=2,2=NULL
DELETE: 1=2,2=4' "$(sql postgres <<'SQL'
CREATE TABLE ev (id int, part int NOT NULL, v int, g int NOT NULL GENERATED ALWAYS AS (v * 2) STORED) PARTITION BY LIST (part);
CREATE TABLE ev_1 PARTITION OF ev FOR VALUES IN (1);
CREATE TABLE ev_2 (v int, part int NOT NULL, id int, g int NOT NULL GENERATED ALWAYS AS (v * 2) STORED);
ALTER TABLE ev ATTACH PARTITION ev_2 FOR VALUES IN (2);
CREATE TABLE told (nth serial, line text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO told (line) SELECT TG_OP || ': ' || string_agg(id || '=' || coalesce(g::text, 'NULL'), ',' ORDER BY id) FROM rows;
    RETURN NULL;
END $$;
CREATE TRIGGER inserted AFTER INSERT ON ev REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER deleted AFTER DELETE ON ev REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION tell();
INSERT INTO ev (id, part, v) VALUES (1, 1, 1), (2, 2, 2);
SELECT 'table: ' || string_agg(id || '=' || g, ',' ORDER BY id) FROM ev;
DELETE FROM ev;
SELECT line FROM told ORDER BY nth;
SQL
)"

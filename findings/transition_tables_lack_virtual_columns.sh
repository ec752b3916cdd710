#!/usr/bin/env bash
# PostgreSQL 18.6: a transition table shows NULL in a virtual generated column, although the same column of the table,
# and RETURNING of the same statement, show its value. Nothing warns. Whoever captures changes through transition
# tables (audit, incremental views) must compute the column's expression from the stored columns.
# Seen 2026-11-29: RETURNING 40, the statement trigger's NEW TABLE has NULL, a stored column beside it 60.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'NOTICE:  transition table: virtual <NULL>, stored 60
40|60
40|60' "$(sql postgres <<'SQL' | sed 's/^psql:[^N]*//'
CREATE TABLE t (a int, virtual int GENERATED ALWAYS AS (a * 2) VIRTUAL, stored int GENERATED ALWAYS AS (a * 3) STORED);
CREATE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'transition table: virtual %, stored %', (SELECT virtual FROM new_rows), (SELECT stored FROM new_rows);
    RETURN NULL;
END $$;
CREATE TRIGGER show AFTER INSERT ON t REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION show();
INSERT INTO t VALUES (20) RETURNING virtual, stored;
SELECT virtual, stored FROM t;
SQL
)"

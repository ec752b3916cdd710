#!/usr/bin/env bash
# TimescaleDB 2.31.0 (Apache edition, Debian forky, PostgreSQL 18.6): create_hypertable(…, migrate_data => true) moves the
# rows of a plain table into chunks, and on the way fires the table's own triggers: INSERT for each row, then TRUNCATE,
# though every row stays. No INSERT statement trigger fires. Whatever follows these triggers (audit, a copy elsewhere)
# has no rows at the end, where the table has all of them.
# Seen 2026-11-30: 3 rows before and after; three INSERT row triggers fired, and after them one for TRUNCATE.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start forky postgresql-18=18.6-3 postgresql-client-18=18.6-3 postgresql-18-timescaledb=2.31.0+dfsg-1 -- \
    "shared_preload_libraries = 'timescaledb'" "timescaledb.telemetry_level = off"
seen 'rows before: 3
fired: INSERT ROW, INSERT ROW, INSERT ROW, TRUNCATE STATEMENT
rows after: 3 in 2 chunks' "$(sql postgres <<'SQL'
SET client_min_messages = error;
CREATE EXTENSION timescaledb;
CREATE TABLE t (at timestamptz NOT NULL, v int);
INSERT INTO t VALUES ('2026-01-01', 1), ('2026-01-02', 2), ('2026-06-01', 3);
CREATE TABLE fired (n serial, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.fired (what) VALUES (tg_op || ' ' || tg_level); RETURN NULL; END $$;
CREATE TRIGGER row_changed AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION note();
SELECT 'rows before: ' || count(*) FROM t;
DO $$ BEGIN PERFORM create_hypertable('t', 'at', migrate_data => true); END $$;
SELECT 'fired: ' || string_agg(what, ', ' ORDER BY n) FROM fired;
SELECT format('rows after: %s in %s chunks', (SELECT count(*) FROM t), (SELECT count(*) FROM show_chunks('t')));
SQL
)"

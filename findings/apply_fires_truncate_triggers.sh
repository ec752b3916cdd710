#!/usr/bin/env bash
# PostgreSQL 18.6: a logical replication apply worker fires ENABLE ALWAYS statement triggers for TRUNCATE and for no other
# command, though the manual says that it fires row triggers and no statement triggers. The first copy of a table fires
# the INSERT statement trigger like any COPY. A subscriber can therefore be followed by row triggers and one statement
# trigger for TRUNCATE; statement triggers with transition tables see the first copy and then nothing.
# Seen 2026-11-29: after one INSERT, UPDATE, DELETE and TRUNCATE each, of statement triggers only TRUNCATE's fired.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3 "wal_level = logical"
sql postgres <<<'CREATE DATABASE origin'
sql postgres <<<'CREATE DATABASE target'
sql origin >/dev/null <<'SQL'
CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t VALUES (1, 1);
CREATE PUBLICATION p FOR TABLE t;
SELECT pg_create_logical_replication_slot('s', 'pgoutput');
SQL
sql target <<SQL
CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE fired (n serial, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN INSERT INTO public.fired (what) VALUES (lower(tg_op || ' ' || tg_level)); RETURN NULL; END \$\$;
CREATE TRIGGER row_changed AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION note();
ALTER TABLE t ENABLE ALWAYS TRIGGER row_changed, ENABLE ALWAYS TRIGGER changed;
CREATE SUBSCRIPTION s CONNECTION 'host=$work/server dbname=origin user=postgres'
    PUBLICATION p WITH (create_slot = false, slot_name = 's');
SQL
wait_until() {
    for _ in $(seq 200); do
        if [ "$(sql target <<<"SELECT $1")" = t ]; then return; fi
        sleep 0.1
    done
    echo "the subscription did not get to: $1" >&2
    exit 1
}
wait_until "srsubstate = 'r' FROM pg_subscription_rel"
sql origin <<'SQL'
INSERT INTO t VALUES (2, 2);
UPDATE t SET v = 3 WHERE id = 2;
DELETE FROM t WHERE id = 2;
TRUNCATE t;
INSERT INTO t VALUES (4, 4);
SQL
wait_until "EXISTS (SELECT FROM t WHERE id = 4)"
seen 'copy: insert row, insert statement
apply: insert row, update row, delete row, truncate statement, insert row' "$(sql target <<'SQL'
SELECT 'copy: ' || string_agg(what, ', ' ORDER BY n) FROM fired WHERE n <= 2;
SELECT 'apply: ' || string_agg(what, ', ' ORDER BY n) FROM fired WHERE n > 2;
SQL
)"

#!/usr/bin/env bash
# wal2json 2.7 (Debian forky, PostgreSQL 18.6): NaN of numeric and -Infinity of double precision are sent as null, in both formats,
# and in the old row, too. A copy cannot tell such a row from one with NULL: a count, a NOT NULL column or a comparison differs
# there, and an UPDATE from NaN to NULL shows two equal rows. In an array, and for a date, the same values are sent as they
# are. test_decoding sends them all.
# Seen 2026-12-01: null and null, {NaN} and infinity; NaN and -Infinity from test_decoding.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start forky postgresql-18=18.6-3 postgresql-client-18=18.6-3 postgresql-18-wal2json=2.7-1 -- \
    "wal_level = logical" "output_plugin_libraries = 'wal2json, test_decoding'"
sql postgres >/dev/null <<'SQL'
CREATE TABLE t (n numeric, f float8, a float8[], d date);
ALTER TABLE t REPLICA IDENTITY FULL;
SELECT pg_create_logical_replication_slot(plugin, plugin) FROM unnest(ARRAY['wal2json', 'test_decoding']) plugin;
INSERT INTO t VALUES ('NaN', '-Infinity', '{NaN}', 'infinity');
UPDATE t SET n = NULL, f = NULL;
SQL
seen 'wal2json 1: [null,null,"{NaN}","infinity"]
wal2json 1: [null,null,"{NaN}","infinity"] from [null,null,"{NaN}","infinity"]
wal2json 2: null null "{NaN}" "infinity"
wal2json 2: null null "{NaN}" "infinity" from null null "{NaN}" "infinity"
test_decoding: n[numeric]:NaN f[double precision]:-Infinity' "$(sql postgres <<'SQL'
SELECT 'wal2json 1: ' || concat_ws(' from ', change ->> 'columnvalues', change #>> '{oldkeys,keyvalues}')
    FROM pg_logical_slot_peek_changes('wal2json', NULL, NULL), json_array_elements(data::json -> 'change') change;
SELECT 'wal2json 2: ' || concat_ws(' from ',
        (SELECT string_agg((c -> 'value')::text, ' ') FROM json_array_elements(data::json -> 'columns') c),
        (SELECT string_agg((c -> 'value')::text, ' ') FROM json_array_elements(data::json -> 'identity') c))
    FROM pg_logical_slot_get_changes('wal2json', NULL, NULL, 'format-version', '2') WHERE data::json ->> 'action' IN ('I', 'U');
SELECT 'test_decoding: ' || substring(data FROM 'n\[.*-Infinity') FROM pg_logical_slot_get_changes('test_decoding', NULL, NULL)
    WHERE data ~ 'INSERT';
SQL
)"

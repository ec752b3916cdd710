#!/usr/bin/env bash
# PostgreSQL 18.6 and wal2json 2.7 (Debian forky): logical decoding has no value for a virtual generated column. The built-in
# test_decoding and wal2json, in both its formats, send the column all the same, with null, as if the table said so; pgoutput
# leaves the column out. With REPLICA IDENTITY FULL the old row lacks it. A copy kept from these streams has NULL in the column.
# Seen 2026-11-30: null where the table shows 2; the stored column beside it is 3.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start forky postgresql-18=18.6-3 postgresql-client-18=18.6-3 postgresql-18-wal2json=2.7-1 -- \
    "wal_level = logical" "output_plugin_libraries = 'wal2json, test_decoding, pgoutput'"
sql postgres >/dev/null <<'SQL'
CREATE TABLE t (id int PRIMARY KEY, virtual int GENERATED ALWAYS AS (id * 2) VIRTUAL, stored int GENERATED ALWAYS AS (id * 3) STORED);
CREATE PUBLICATION p FOR TABLE t WITH (publish_generated_columns = stored);
SELECT pg_create_logical_replication_slot(plugin, plugin) FROM unnest(ARRAY['wal2json', 'test_decoding', 'pgoutput']) plugin;
INSERT INTO t VALUES (1);
SQL
seen 'table: 1, 2, 3
test_decoding: id[integer]:1 virtual[integer]:null stored[integer]:3
wal2json 1: ["id","virtual","stored"] [1,null,3]
wal2json 2: {"name":"virtual","type":"integer","value":null}
pgoutput: names id t, virtual f, stored t' "$(sql postgres <<'SQL'
SELECT format('table: %s, %s, %s', id, virtual, stored) FROM t;
SELECT 'test_decoding: ' || substring(data FROM 'id\[.*') FROM pg_logical_slot_get_changes('test_decoding', NULL, NULL) WHERE data ~ 'INSERT';
SELECT format('wal2json 1: %s %s', change -> 'columnnames', change -> 'columnvalues')
    FROM pg_logical_slot_peek_changes('wal2json', NULL, NULL), json_array_elements(data::json -> 'change') change;
SELECT 'wal2json 2: ' || c FROM pg_logical_slot_get_changes('wal2json', NULL, NULL, 'format-version', '2'),
    json_array_elements(data::json -> 'columns') c WHERE c ->> 'name' = 'virtual';
SELECT format('pgoutput: names id %s, virtual %s, stored %s', data ~ 'id\\000', data ~ '\\000virtual\\000', data ~ '\\000stored\\000')
    FROM (SELECT encode(data, 'escape') AS data FROM pg_logical_slot_get_binary_changes('pgoutput', NULL, NULL,
        'proto_version', '1', 'publication_names', 'p')) m WHERE data LIKE 'R%';
SQL
)"

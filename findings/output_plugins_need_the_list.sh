#!/usr/bin/env bash
# PostgreSQL 18.6 takes as output plugins of logical decoding only the libraries that the setting output_plugin_libraries
# names, by default pgoutput and test_decoding, for superusers, too. Debian forky's packages of extensions that bring
# their own plugin, pglogical 2.4.8 and pg_squeeze 1.9.4, do not set it: installed and preloaded, they fail at their first
# use until the setting names their libraries.
# Seen 2026-11-30: both "may not be used as an output plugin"; named in the setting, both work.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start forky postgresql-18=18.6-3 postgresql-client-18=18.6-3 postgresql-18-pglogical=2.4.8-2 \
    postgresql-18-squeeze=1.9.4-2 -- "wal_level = logical" "shared_preload_libraries = 'pglogical, pg_squeeze'"
sql postgres <<'SQL'
CREATE EXTENSION pg_squeeze;
CREATE TABLE t (id int PRIMARY KEY);
INSERT INTO t VALUES (1);
SQL
attempts() {
    sql postgres <<<"SHOW output_plugin_libraries"
    sql postgres <<<"SELECT 'pglogical: works' FROM pg_create_logical_replication_slot('s', 'pglogical_output')" || true
    sql postgres <<<"SELECT 'pg_squeeze: works' FROM (SELECT squeeze.squeeze_table('public', 't')) s" || true
}
default=$(attempts)
sql postgres <<<'ALTER SYSTEM SET output_plugin_libraries = pgoutput, pglogical_output, pg_squeeze'
"${as[@]}" "$bin/pg_ctl" -D "$work/server/data" -l "$work/server/log" -w restart >/dev/null
seen 'pgoutput, test_decoding
ERROR:  library "pglogical_output" may not be used as an output plugin
ERROR:  library "pg_squeeze" may not be used as an output plugin
pgoutput, pglogical_output, pg_squeeze
pglogical: works
pg_squeeze: works' "$(grep -v '^HINT' <<<"$default")
$(attempts)"
